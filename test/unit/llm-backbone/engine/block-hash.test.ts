import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { blockHash, chainStart } from '#backbone/engine/block-hash.ts';
import { imageAt } from './scheduling.ts';

const image = (firstToken: number, itemKey: string) => imageAt(firstToken, 6, itemKey);

const tokens = [1, 2, 9, 9, 9, 9, 9, 9, 5, 6, 7, 8];
const at = (index: number) => ({ index, size: 4 });

describe('blockHash', () => {
  it('is the same for the same tokens behind the same prefix', () => {
    assert.equal(blockHash('p', tokens, [], at(1)), blockHash('p', [...tokens], [], at(1)));
  });

  it('differs when a token, the prefix or the place differs', () => {
    const hash = blockHash('p', tokens, [], at(0));

    assert.notEqual(hash, blockHash('p', [1, 2, 9, 8], [], at(0)));
    assert.notEqual(hash, blockHash('q', tokens, [], at(0)));
    assert.notEqual(hash, blockHash('p', tokens, [], at(1)));
  });

  it('tells two images behind equal placeholders apart in every block they reach', () => {
    for (const index of [0, 1]) {
      const a = blockHash('p', tokens, [image(2, 'aa')], at(index));
      const b = blockHash('p', tokens, [image(2, 'bb')], at(index));
      assert.notEqual(a, b, `block ${index}`);
    }
  });

  it('tells apart which rows of an image a block holds', () => {
    const early = blockHash('p', tokens, [image(2, 'aa')], at(1));
    const late = blockHash('p', tokens, [image(3, 'aa')], at(1));

    assert.notEqual(early, late);
  });

  it('ignores media outside the block', () => {
    assert.equal(
      blockHash('p', tokens, [image(2, 'aa')], at(2)),
      blockHash('p', tokens, [], at(2)),
    );
  });
});

describe('chainStart', () => {
  it('separates the first block, and so all that follow, by the salt', () => {
    const starts = ['', 'a', 'b', 'salt', ' '].map(chainStart);

    assert.equal(new Set(starts).size, 5);
    assert.equal(chainStart('a'), starts[1]);
  });
});
