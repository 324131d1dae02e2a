import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

interface Build {
  readonly name: string;
  readonly needsDev?: boolean;
  isDone(): boolean;
}

interface Plan {
  readonly builds: readonly Build[];
  readonly packages: readonly string[];
  readonly withDev: boolean;
}

interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
}

type Packages = Readonly<Record<string, LockedPackage>>;

/**
 * Type of the module, which is JavaScript without types because it runs before anything is
 * installed.
 */
interface PlanModule {
  planSetUp(
    needs: { readonly builds: readonly Build[]; readonly needsDev: boolean },
    missingPackages: (withDev: boolean) => readonly string[],
  ): Plan;
  describeLack(plan: Pick<Plan, 'builds' | 'packages'>): string;
  lackingPackages(trees: {
    readonly wanted: Packages;
    readonly found: Packages;
    readonly withDev: boolean;
    readonly machine: { readonly os: string; readonly cpu: string; libc(): string };
  }): readonly string[];
}

const { planSetUp, describeLack, lackingPackages }: PlanModule = await import(
  pathToFileURL(join(PACKAGE_ROOT, 'deploy/bootstrap/plan.mjs')).href
);

const LINUX = { os: 'linux', cpu: 'x64', libc: () => 'glibc' };

const addon = (isDone: boolean) => ({ name: 'the native addon', isDone: () => isDone });
const typescript = (isDone: boolean) => ({
  name: 'the compiled TypeScript',
  needsDev: true,
  isDone: () => isDone,
});

describe('planSetUp', () => {
  /** Returns the needed packages that are missing after `npm prune --omit=dev`. */
  const pruned = (withDev: boolean) => (withDev ? ['node_modules/typescript'] : []);

  it('finds nothing to do in a pruned tree in which all is built', () => {
    const builds = [addon(true), typescript(true)];

    const plan = planSetUp({ builds, needsDev: false }, pruned);

    assert.deepEqual(plan, { builds: [], packages: [], withDev: false });
  });

  it('installs the compiler when TypeScript has changed', () => {
    const builds = [addon(true), typescript(false)];

    const plan = planSetUp({ builds, needsDev: false }, pruned);

    assert.deepEqual(plan.packages, ['node_modules/typescript']);
    assert.deepEqual(plan.builds, [builds[1]]);
  });

  it('builds the addon without development packages', () => {
    const builds = [addon(false), typescript(true)];

    const plan = planSetUp({ builds, needsDev: false }, pruned);

    assert.deepEqual(plan, { builds: [builds[0]], packages: [], withDev: false });
  });

  it('installs development packages for a verb that runs sources', () => {
    const plan = planSetUp({ builds: [addon(true)], needsDev: true }, pruned);

    assert.deepEqual(plan.packages, ['node_modules/typescript']);
  });
});

describe('describeLack', () => {
  it('names what is to be built and the first packages', () => {
    const packages = ['a', 'b', 'c', 'd', 'e'].map((name) => `node_modules/${name}`);

    assert.equal(
      describeLack({ builds: [addon(false)], packages }),
      'missing or changed: the native addon, npm packages (node_modules/a, node_modules/b, node_modules/c and 2 more)',
    );
  });
});

describe('lackingPackages', () => {
  const yaml = { version: '2.0.0', integrity: 'sha512-a' };
  const cases: readonly {
    readonly says: string;
    readonly wanted: LockedPackage;
    readonly found?: LockedPackage;
    readonly withDev?: boolean;
    readonly isLacking: boolean;
  }[] = [
    { says: 'accepts the very package', wanted: yaml, found: yaml, isLacking: false },
    { says: 'wants one that is not there', wanted: yaml, isLacking: true },
    {
      says: 'wants another version',
      wanted: yaml,
      found: { ...yaml, version: '2.0.1' },
      isLacking: true,
    },
    {
      says: 'wants another content of the same version',
      wanted: yaml,
      found: { ...yaml, integrity: 'sha512-b' },
      isLacking: true,
    },
    { says: 'lets a development package go', wanted: { ...yaml, dev: true }, isLacking: false },
    {
      says: 'wants a development package for building',
      wanted: { ...yaml, dev: true },
      withDev: true,
      isLacking: true,
    },
    {
      says: 'wants an optional package of this machine',
      wanted: { ...yaml, optional: true, os: ['linux'], cpu: ['x64'], libc: ['glibc'] },
      isLacking: true,
    },
    {
      says: 'wants an optional package of all systems but another',
      wanted: { ...yaml, optional: true, os: ['!win32'] },
      isLacking: true,
    },
    {
      says: 'lets one of another system go',
      wanted: { ...yaml, optional: true, os: ['darwin'], cpu: ['x64'] },
      isLacking: false,
    },
    {
      says: 'lets one of another C library go',
      wanted: { ...yaml, optional: true, os: ['linux'], cpu: ['x64'], libc: ['musl'] },
      isLacking: false,
    },
    {
      says: 'lets one of all systems but this go',
      wanted: { ...yaml, optional: true, os: ['!linux'] },
      isLacking: false,
    },
    {
      says: 'lets one go that only packages of other machines need',
      wanted: { ...yaml, optional: true },
      isLacking: false,
    },
  ];
  for (const { says, wanted, found, withDev = false, isLacking } of cases) {
    it(says, () => {
      const path = 'node_modules/yaml';

      const lacking = lackingPackages({
        wanted: { '': { version: '0.1.0' }, [path]: wanted },
        found: found === undefined ? {} : { [path]: found },
        withDev,
        machine: LINUX,
      });

      assert.deepEqual(lacking, isLacking ? [path] : []);
    });
  }
});
