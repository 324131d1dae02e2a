import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PieceCount } from '#mesh/http/piece-count.ts';

/** Returns how many pieces of a size are taken, of 100,000. */
function numTaken(size: number): number {
  const pieces = new PieceCount();
  const piece = Buffer.alloc(size);
  for (let taken = 0; taken < 100_000; taken++) if (!pieces.take(piece)) return taken;
  return 100_000;
}

describe('the pieces of a body', () => {
  it('may be as many as come, if they are no crumbs', () => {
    assert.equal(numTaken(16), 100_000);
    assert.equal(numTaken(1400), 100_000);
  });

  it('may be a prompt of the longest context, written id by id', () => {
    assert.ok(numTaken(6) > 8192);
  });

  it('may not be crumbs beyond some thousands', () => {
    assert.ok(numTaken(1) < 10_000);
    assert.ok(numTaken(0) < 10_000);
  });
});
