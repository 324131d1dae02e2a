import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

const SECURITY = readFileSync(join(PACKAGE_ROOT, 'SECURITY.md'), 'utf8');

/** Reads the rows of the table of classes, without its head. */
function rows(): string[] {
  const [, rest = ''] = SECURITY.split('<!-- classes -->\n');
  const [table = ''] = rest.split('<!-- /classes -->');
  return table.trim().split('\n').slice(2);
}

interface Proof {
  readonly path: string;
  readonly title: string;
}

function proofsOf(row: string): Proof[] {
  return [...row.matchAll(/`(test\/[^`]+)`: "([^"]+)"/g)].map(([, path = '', title = '']) => ({
    path,
    title,
  }));
}

/** How a test, or a group of tests, begins: in TypeScript and in C++. */
const TITLES = {
  ts: /\b(?:it|describe)\(\s*(['"`])(.*?)\1,/g,
  cc: /\bTEST_CASE\((")(.*?)\1\)/g,
} as const;

/** Tells whether the file has a test, or a group of tests, with exactly this title. */
function hasTest({ path, title }: Proof): boolean {
  const file = join(PACKAGE_ROOT, path);
  if (!existsSync(file)) return false;
  const titles = readFileSync(file, 'utf8').matchAll(TITLES[path.endsWith('.cc') ? 'cc' : 'ts']);
  return [...titles].some(([, , found]) => found === title);
}

describe('SECURITY.md', () => {
  it('names a test for each class', () => {
    assert(rows().length > 0);
    assert.deepEqual(
      rows().filter((row) => proofsOf(row).length === 0),
      [],
    );
  });

  it('names tests that exist', () => {
    const missing = rows()
      .flatMap(proofsOf)
      .filter((proof) => !hasTest(proof));

    assert.deepEqual(missing, []);
  });

  it('would notice a file or a title that is not there', () => {
    const path = 'test/structure/security.test.ts';

    assert(hasTest({ path, title: 'names tests that exist' }));
    assert(!hasTest({ path, title: 'names tests that' }));
    assert(!hasTest({ path: 'test/structure/gone.test.ts', title: 'names tests that exist' }));
  });
});
