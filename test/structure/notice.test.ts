import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

const NOTICE = readFileSync(join(PACKAGE_ROOT, 'NOTICE'), 'utf8');

interface LockedPackage {
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly license?: string;
}

const { packages }: { readonly packages: Readonly<Record<string, LockedPackage>> } = JSON.parse(
  readFileSync(join(PACKAGE_ROOT, 'package-lock.json'), 'utf8'),
);

/** Names of the packages that a running mesh needs, and their licences. */
const RUNTIME = Object.entries(packages)
  .filter(([path, { dev, devOptional }]) => path !== '' && !dev && !devOptional)
  .map(([path, { license }]) => ({
    path,
    name: path.split('node_modules/').at(-1) ?? '',
    license,
  }));

describe('NOTICE', () => {
  it('names every package that a mesh needs, with its licence', () => {
    const missing = RUNTIME.filter(
      ({ name, license }) => !NOTICE.includes(`\n| ${name} | ${license} |\n`),
    );

    assert(RUNTIME.length > 100);
    assert.deepEqual(missing, [], '"node deploy/write-notice.mjs" writes it');
  });

  it('names no package twice, and none that is not needed', () => {
    const [, table = ''] = NOTICE.split('| package | licence |\n|---|---|\n');
    const names = table
      .trimEnd()
      .split('\n')
      .map((row) => row.split(' | ')[0]?.slice(2));

    assert.deepEqual(names, [...new Set(RUNTIME.map(({ name }) => name))].sort(byText));
  });

  it('has every licence as its package states it', () => {
    const unknown = RUNTIME.filter(({ license }) => license === undefined);

    assert.deepEqual(unknown, []);
  });

  it('names all source code of others, whose licence lies beside it', () => {
    const folder = 'native/third_party';
    for (const name of readdirSync(join(PACKAGE_ROOT, folder))) {
      assert(NOTICE.includes(`| ${folder}/${name}/LICENSE |`), name);
      assert(existsSync(join(PACKAGE_ROOT, folder, name, 'LICENSE')));
    }
  });

  it('names texts that are there', () => {
    const texts = [...new Set(NOTICE.match(/licences\/[\w.-]+\.txt/g))];

    assert(texts.length >= 4);
    assert.deepEqual(
      texts.filter((path) => !existsSync(join(PACKAGE_ROOT, path))),
      [],
    );
  });

  it('has the text of every installed package beside it', () => {
    const texts = readFileSync(join(PACKAGE_ROOT, 'licences/packages.txt'), 'utf8');
    const missing = RUNTIME.filter(({ path }) => existsSync(join(PACKAGE_ROOT, path))).filter(
      ({ name, license }) => !texts.includes(`\n${name} (${license})\n`),
    );

    assert.deepEqual(missing, [], '"node deploy/write-notice.mjs" writes it');
  });
});

function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}
