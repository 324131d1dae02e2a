import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Turnover } from '#mesh/process/turnover.ts';

/** Lets callers leave at these times; returns the estimate at `nowMs`. */
function estimate(leftAtMs: readonly number[], nowMs: number): number {
  let time = 0;
  const turnover = new Turnover(() => time);
  for (const ms of leftAtMs) {
    time = ms;
    turnover.left();
  }
  time = nowMs;
  return turnover.expectedMs;
}

describe('Turnover', () => {
  it('expects a place in a second while it knows nothing', () => {
    assert.equal(estimate([], 10_000), 1000);
    assert.equal(estimate([500], 10_000), 1000);
  });

  it('expects a place after the usual interval', () => {
    assert.equal(estimate([0, 4000, 8000, 12_000], 12_100), 4000);
  });

  it('follows a change of pace', () => {
    assert.equal(estimate([0, 4000, 6000], 6000), 3600);
  });

  it('expects to wait as long again as nobody has left', () => {
    assert.equal(estimate([0, 1000], 9000), 8000);
  });

  it('stays between half a second and half a minute', () => {
    assert.equal(estimate([0, 10, 20], 20), 500);
    assert.equal(estimate([0, 10], 3_600_000), 30_000);
  });
});
