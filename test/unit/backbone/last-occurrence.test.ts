import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lastOccurrence } from '#backbone/last-occurrence.ts';

/** Every text of `length` letters a and b. */
function textsOf(length: number): string[] {
  return Array.from({ length: 2 ** length }, (_, bits) =>
    Array.from({ length }, (_, i) => ((bits >> i) & 1 ? 'a' : 'b')).join(''),
  );
}

describe('lastOccurrence', () => {
  it('finds what lastIndexOf finds, for every short text and pattern', () => {
    const texts = [0, 1, 5, 9].flatMap(textsOf);
    const patterns = [1, 2, 3, 4].flatMap(textsOf);
    for (const text of texts) {
      for (const pattern of patterns) {
        const found = lastOccurrence(text, pattern);
        assert.equal(found, text.lastIndexOf(pattern), `"${pattern}" in "${text}"`);
      }
    }
  });

  it('takes time in proportion to the text where the pattern nearly matches everywhere', () => {
    // lastIndexOf needs 2e12 comparisons for it.
    const text = 'a'.repeat(4_000_000);
    const pattern = `${'a'.repeat(500_000)}b`;

    assert.equal(lastOccurrence(text, pattern), -1);
  });
});
