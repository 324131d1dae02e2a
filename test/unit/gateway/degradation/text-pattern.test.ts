import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isLike } from '#gateway/degradation/text-pattern.ts';

const LIKE: readonly (readonly [string, string])[] = [
  ['hi', 'hi'],
  [' Hi ', 'hi'],
  ['hello there', 'hello*'],
  ['say hello', '*hello'],
  ['open the WeChat app', 'open*wechat*'],
  ['', '*'],
  ['anything', '*'],
  ['aba', 'a*a'],
  ['ＨＩ', 'hi'],
  ['打开微信', '打开*'],
  ['a.b', 'a.b'],
  ['abcabc', '*bc'],
];
const UNLIKE: readonly (readonly [string, string])[] = [
  ['high', 'hi'],
  ['a', 'a*a'],
  ['ab', 'ab*b'],
  ['axb', 'a.b'],
  ['open WeChat', 'close*'],
  ['', 'hi'],
  ['b a', 'a*b'],
];

describe('isLike', () => {
  for (const [text, pattern] of LIKE) {
    it(`finds "${text}" like ${pattern}`, () => {
      assert.equal(isLike(text, pattern), true);
    });
  }
  for (const [text, pattern] of UNLIKE) {
    it(`finds "${text}" unlike ${pattern}`, () => {
      assert.equal(isLike(text, pattern), false);
    });
  }

  it('takes no longer for a text that almost fits in many ways', () => {
    const pattern = `${'*a'.repeat(90)}*b`;

    assert.equal(isLike('a'.repeat(1_000_000), pattern), false);
  });
});
