import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseYaml } from '#mesh/command-line/yaml-file.ts';
import { refusal } from '#test/refusal.ts';

const bomb = ['a: &a [1,1,1,1,1,1,1,1,1,1]', 'b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]'];
bomb.push('c: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]');

/** Files that are refused, and what is said of them. */
const WRONG: readonly (readonly [what: string, text: string, message: RegExp])[] = [
  ['a broken list', 'a: 1\nb: [', /^f\.yaml:2: /],
  ['a second document', 'a: 1\n---\nb: 1', /^f\.yaml:2: another document begins/],
  ['a pattern that is no text', 'a: 1\nb: *.example.com', /^f\.yaml:2: .*example\.com.*quotes/],
  ['a star that is no text', 'a: 1\nb: *', /^f\.yaml:2: .*quotes/],
  ['a value that holds itself', 'a: &a\n  b: *a', /^f\.yaml:2: \*a holds itself/],
  [
    'lists that are nested without end',
    `a: 1\nb: ${'['.repeat(20_000)}${']'.repeat(20_000)}`,
    /^f\.yaml:2: more than 100 .* nested/,
  ],
  ['lists of lists in blocks', `a:\n  ${'- '.repeat(20_000)}x`, /^f\.yaml:2: more than 100/],
  [
    'mappings that leave no stack for a regular expression',
    Array.from({ length: 1500 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
    /^f\.yaml:101: more than 100/,
  ],
  ['aliases that fill the memory', bomb.join('\n'), /^f\.yaml: its aliases stand for too many/],
];

describe('parseYaml', () => {
  it('reads values, those that are named once and meant twice too', () => {
    const { value } = parseYaml({ path: 'f.yaml' }, 'a: &a {b: 1}\nc: *a');

    assert.deepEqual(value, { a: { b: 1 }, c: { b: 1 } });
  });

  for (const [what, text, message] of WRONG) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => parseYaml({ path: 'f.yaml', param: 'rulesFile' }, text),
        refusal('INVALID_REQUEST', message, 'rulesFile'),
      );
    });
  }
});
