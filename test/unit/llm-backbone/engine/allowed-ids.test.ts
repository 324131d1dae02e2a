import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allowedIds } from '#backbone/engine/allowed-ids.ts';
import { bitsOf } from './only-next.ts';

describe('allowed ids', () => {
  it('stand in a mask over all rows of the head, at every position', () => {
    const constraint = allowedIds([0, 31, 32, 95, 31], 97);

    assert.deepEqual(bitsOf(constraint.mask([])), [0, 31, 32, 95]);
    assert.equal(constraint.mask([])?.length, 4);
    constraint.accept(31);
    assert.deepEqual(bitsOf(constraint.mask([])), [0, 31, 32, 95]);
  });
});
