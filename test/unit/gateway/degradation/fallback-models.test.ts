import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FallbackModels } from '#gateway/degradation/fallback-models.ts';
import { refusal } from '#test/refusal.ts';

describe('FallbackModels', () => {
  const cases: readonly (readonly [string, string[], string[]])[] = [
    ['big', ['big=small'], ['small']],
    ['other', ['big=small'], []],
    ['other', ['big=small', '*=tiny'], ['tiny']],
    ['big', ['big=small', '*=tiny'], ['small', 'tiny']],
    ['tiny', ['*=tiny'], []],
    ['a', ['a=b', 'b=a'], ['b']],
    ['big', [' big = small '], ['small']],
  ];
  for (const [asked, entries, models] of cases) {
    it(`lets ${models.join(', ') || 'none'} answer for ${asked} by ${entries.join(', ')}`, () => {
      assert.deepEqual(new FallbackModels(entries).of(asked), models);
    });
  }

  for (const entry of ['big', 'big=', '=small', 'a=b=c', 'big=*', 'big=big']) {
    it(`refuses ${entry}`, () => {
      assert.throws(
        () => new FallbackModels([entry]),
        refusal('INVALID_REQUEST', /^the key "fallback-model" /, 'fallbackModel'),
      );
    });
  }

  it('refuses two entries for one model', () => {
    assert.throws(
      () => new FallbackModels(['a=b', 'a=c']),
      refusal('INVALID_REQUEST', /names a model twice/, 'fallbackModel'),
    );
  });
});
