import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { caseName, readPhoneCases } from '#test/e2e/request/phone-cases.ts';
import { counts } from '#test/eval/counting-rule.ts';

describe('the counting rule of the evaluation', () => {
  it('says of each answer of the reference what its file says', () => {
    const cases = readPhoneCases('eval.json');

    assert.deepEqual(
      cases.filter((one) => counts(one.reference, one.expected) !== one.correct).map(caseName),
      [],
    );
  });

  const tap = '<answer>do(action="Tap", element=[500,500])';
  const launch = '<answer>do(action="Launch", app="Maps")';
  const rows: readonly (readonly [string, string, boolean])[] = [
    ['<think>far</think><answer>do(action="Tap", element=[560,530])', tap, true],
    ['<answer>do(action="Tap", element=[561,500])', tap, false],
    ['<answer>do(action="Tap", element=[500,469])', tap, false],
    [launch, tap, false],
    ['', tap, false],
    ['<think>it is there</think><answer>do(action="Launch", app="Maps")', launch, true],
    ['<answer>do(action="Launch", app="Mail")', launch, false],
    ['Maps', 'Maps', true],
    ['maps', 'Maps', false],
  ];
  for (const [answer, expected, isRight] of rows) {
    it(`${isRight ? 'counts' : 'does not count'} ${answer} for ${expected}`, () => {
      assert.equal(counts(answer, expected), isRight);
    });
  }
});
