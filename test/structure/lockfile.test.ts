import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const { packages }: { readonly packages: Readonly<Record<string, LockedPackage>> } = JSON.parse(
  readFileSync(join(PACKAGE_ROOT, 'package-lock.json'), 'utf8'),
);

/** Returns true if a package at `path` finds another by name, beside it or further up. */
function finds(path: string, name: string): boolean {
  for (let from = path; ; from = from.slice(0, Math.max(0, from.lastIndexOf('/node_modules/')))) {
    if (packages[`${from}${from === '' ? '' : '/'}node_modules/${name}`] !== undefined) return true;
    if (from === '') return false;
  }
}

describe('package-lock.json', () => {
  it('holds what its packages need on every platform: npm ci refuses it otherwise', () => {
    const missing = Object.entries(packages).flatMap(([path, one]) =>
      Object.keys({ ...one.dependencies, ...one.devDependencies, ...one.optionalDependencies })
        .filter((name) => !finds(path, name))
        .map((name) => `${path}: ${name}`),
    );

    assert.deepEqual(missing, []);
  });

  it('names the content of every package and no registry but the public one', () => {
    const others = Object.entries(packages).filter(([path, { integrity, resolved }]) => {
      const isPublic = resolved?.startsWith('https://registry.npmjs.org/') ?? true;
      return path !== '' && !(integrity !== undefined && isPublic);
    });

    assert.deepEqual(others, []);
  });
});
