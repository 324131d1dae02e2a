import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatTally, Tally } from '#test/eval/tally.ts';

/** Makes a tally; 33 right answers of 40 are 82.5 %. */
function tallyOf(group: string, right: number): Tally {
  const tally = new Tally();
  for (let i = 0; i < 40; i++) tally.add(group, { isRight: i < right });
  return tally;
}

describe('Tally', () => {
  it('is within a point of an equal reference', () => {
    assert.equal(tallyOf('audio', 33).isWithin({ audio: 82.5 }, 1), true);
  });

  it('is not within a point when one answer of forty is lost', () => {
    assert.equal(tallyOf('audio', 32).isWithin({ audio: 82.5 }, 1), false);
  });

  it('is not within any reference of a group nobody asked', () => {
    assert.equal(tallyOf('audio', 40).isWithin({ text: 50 }, 1), false);
  });

  it('says the shares beside those of the reference', () => {
    const text = formatTally(tallyOf('audio', 33), { audio: 97.5 });

    assert.equal(text, 'audio       82.5 %  (33 of 40; reference 97.5 %)');
  });
});
