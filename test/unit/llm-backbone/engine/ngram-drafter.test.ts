import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NgramDrafter } from '#backbone/engine/ngram-drafter.ts';
import { seededRandom } from '#test/seeded-random.ts';
import { ids } from './scheduling.ts';

const LENGTHS = { min: 2, max: 4 };

function draftOf(tokenIds: readonly number[], maxTokens = 3, lengths = LENGTHS): number[] {
  return new NgramDrafter(tokenIds, lengths).draft(maxTokens);
}

/** Finds the place that `NgramDrafter` promises by looking at all of them. */
function expectedPlace(tokenIds: readonly number[], { min, max } = LENGTHS): number {
  const end = tokenIds.length;
  const lengthAt = (place: number) => {
    let length = 0;
    while (
      length < Math.min(max, place) &&
      tokenIds[place - 1 - length] === tokenIds[end - 1 - length]
    ) {
      length++;
    }
    return length;
  };
  const places = ids(min, Math.max(0, end - min)).filter((place) => lengthAt(place) >= min);
  const longest = Math.max(...places.map(lengthAt));
  return places.findLast((place) => lengthAt(place) === longest) ?? -1;
}

describe('NgramDrafter', () => {
  it('drafts what followed the last tokens before', () => {
    assert.deepEqual(draftOf([1, 2, 3, 4, 5, 1, 2]), [3, 4, 5]);
    assert.deepEqual(draftOf([1, 2, 3, 4, 5, 1, 2], 1), [3]);
  });

  it('drafts nothing where the last tokens are new, or too few', () => {
    assert.deepEqual(draftOf([1, 2, 3, 4, 5]), []);
    assert.deepEqual(draftOf([1, 2]), []);
    assert.deepEqual(draftOf([]), []);
    assert.deepEqual(draftOf([1, 1, 1, 1], 0), []);
  });

  it('prefers the place that more tokens lead to, then the latest', () => {
    assert.deepEqual(draftOf([9, 1, 2, 3, 8, 1, 2, 4, 9, 1, 2], 1), [3]);
    assert.deepEqual(draftOf([8, 1, 2, 3, 7, 1, 2, 4, 9, 1, 2], 1), [4]);
  });

  it('goes on repeating where the place is close to the end', () => {
    assert.deepEqual(draftOf([5, 6, 7, 6, 7], 5), [6, 7, 6, 7, 6]);
    assert.deepEqual(draftOf([4, 4, 4], 3), [4, 4, 4]);
  });

  it('finds the best place in any sequence, also while it grows', () => {
    const random = seededRandom(1);
    for (let round = 0; round < 300; round++) {
      const tokenIds: number[] = [];
      const drafter = new NgramDrafter(tokenIds, LENGTHS);
      for (let i = 0; i < 12; i++) {
        // Few enough equal runs that all of them are compared.
        for (let n = 0; n < 3; n++) tokenIds.push(Math.floor(random() * 5));
        const place = expectedPlace(tokenIds);
        const [first] = drafter.draft(1);
        assert.equal(first, place === -1 ? undefined : tokenIds[place]);
      }
    }
  });

  it('costs no more for a long sequence of equal tokens', () => {
    const tokenIds = Array.from({ length: 200_000 }, () => 1);
    const drafter = new NgramDrafter(tokenIds, { min: 1, max: 64 });

    const startMs = performance.now();
    for (let i = 0; i < 100; i++) {
      assert.deepEqual(drafter.draft(2), [1, 1]);
      tokenIds.push(1);
    }
    assert(performance.now() - startMs < 2000);
  });
});
