import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type RowLease, RowPool } from '#mesh/encode/row-pool.ts';

const nothingToReclaim = () => false;

/** Takes a place that must be there. */
function taken(pool: RowPool, numBytes: number): RowLease {
  const lease = pool.take(numBytes);
  assert.ok(lease !== undefined, `${numBytes} bytes have room`);
  return lease;
}

describe('RowPool', () => {
  it('gives places that do not overlap, at multiples of 256 bytes', () => {
    const pool = new RowPool({ numBytes: 1024, reclaim: nothingToReclaim });

    const leases = [taken(pool, 1), taken(pool, 300), taken(pool, 256)];

    assert.deepEqual(
      leases.map(({ offset }) => offset),
      [0, 256, 768],
    );
    assert.equal(pool.takenBytes, 1024);
    assert.equal(pool.take(1), undefined);
  });

  it('refuses a place of no bytes, and one larger than itself', () => {
    const pool = new RowPool({ numBytes: 1024, reclaim: () => assert.fail('nothing would help') });

    assert.equal(pool.take(0), undefined);
    assert.equal(pool.take(1025), undefined);
  });

  it('joins places that are free again', () => {
    const pool = new RowPool({ numBytes: 1024, reclaim: nothingToReclaim });
    const [a, b, c] = [taken(pool, 256), taken(pool, 256), taken(pool, 512)];

    a.release();
    c.release();
    assert.equal(pool.take(768), undefined);
    b.release();

    assert.equal(taken(pool, 1024).offset, 0);
  });

  it('frees a place when everybody who holds it has released it', () => {
    const pool = new RowPool({ numBytes: 256, reclaim: nothingToReclaim });
    const lease = taken(pool, 256);
    lease.retain();

    lease.release();
    assert.equal(pool.take(1), undefined);
    lease.release();

    assert.equal(pool.takenBytes, 0);
    assert.throws(() => lease.release(), /the place is free/);
    assert.throws(() => lease.retain(), /the place is free/);
  });

  it('takes room from what is kept for later, as much as is needed', () => {
    const kept: RowLease[] = [];
    const reclaim = () => {
      const oldest = kept.shift();
      oldest?.release();
      return oldest !== undefined;
    };
    const pool = new RowPool({ numBytes: 1024, reclaim });
    for (let i = 0; i < 4; i++) kept.push(taken(pool, 256));

    const lease = taken(pool, 512);

    assert.equal(lease.offset, 0);
    assert.equal(kept.length, 2);
    assert.equal(pool.take(1024), undefined);
    assert.equal(kept.length, 0);
  });
});
