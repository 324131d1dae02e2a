import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { EN } from '#gateway/console/text/en.ts';
import { fill } from '#gateway/console/text/fill.ts';
import { ageText, durationText, numberText } from '#gateway/console/text/quantities.ts';
import { ZH } from '#gateway/console/text/zh.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

const CONSOLE = join(PACKAGE_ROOT, 'gateway/console');

function names(text: string): string[] {
  return [...text.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name).sort();
}

/** Returns the sources of the page without its texts. */
function sources(): string {
  return readdirSync(CONSOLE, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.tsx?$/.test(path) && !/^text\/(en|zh)\.ts$/.test(path))
    .map((path) => readFileSync(join(CONSOLE, path), 'utf8'))
    .join('\n');
}

describe('the texts of the console', () => {
  it('are there in both languages, and fill in the same', () => {
    assert.deepEqual(Object.keys(ZH).sort(), Object.keys(EN).sort());
    for (const [key, text] of Object.entries(EN)) {
      const other = Object.entries(ZH).find(([name]) => name === key)?.[1] ?? '';
      assert.notEqual(other.trim(), '', key);
      assert.deepEqual(names(other), names(text), key);
    }
  });

  it('are all used', () => {
    const all = sources();
    const unused = Object.keys(EN).filter(
      (key) => !all.includes(`'${key}'`) && !all.includes(`.${key}`),
    );

    // The names of the views are asked for by a variable.
    assert.deepEqual(
      unused.filter((key) => !['chat', 'mesh', 'requests'].includes(key)),
      [],
    );
  });
});

describe('fill', () => {
  it('fills in every name, and leaves one that has no value', () => {
    assert.equal(fill('{a} and {a}, {b}', { a: 1 }), '1 and 1, {b}');
  });
});

describe('quantities', () => {
  it('are written for people', () => {
    const durations = [0.42, 83.4, 999.4, 1240, 12_340, 125_000].map(durationText);
    assert.deepEqual(durations, ['0.4 ms', '83 ms', '999 ms', '1.24 s', '12.3 s', '2 min 5 s']);
    assert.deepEqual([4000, 720_000, 5_000_000, 273_600_000].map(ageText), [
      '4 s',
      '12 min',
      '1 h 23 min',
      '3 d 4 h',
    ]);
    assert.deepEqual([0, 0.44, 12.52, 480.2].map(numberText), ['0', '0.4', '12.5', '480']);
  });
});
