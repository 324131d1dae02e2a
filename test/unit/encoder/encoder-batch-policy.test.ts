import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type BatchDecision, type BatchState, decideBatch } from '#encoder/encoder-batch-policy.ts';

const limits = { maxBatchSize: 4, maxCells: 100, windowMs: 5 };

const CASES: readonly [string, BatchState, number, BatchDecision][] = [
  ['nothing waits', { waitingCells: [], oldestMs: 0, isRunning: false }, 10, { kind: 'idle' }],
  [
    'a batch runs',
    { waitingCells: Array(9).fill(10), oldestMs: 0, isRunning: true },
    10,
    { kind: 'idle' },
  ],
  [
    'the first item may have company soon',
    { waitingCells: [10], oldestMs: 8, isRunning: false },
    10,
    { kind: 'wait', untilMs: 13 },
  ],
  [
    'the window is over',
    { waitingCells: [10], oldestMs: 5, isRunning: false },
    10,
    { kind: 'run', numItems: 1 },
  ],
  [
    'the batch is full before the window is over',
    { waitingCells: Array(4).fill(10), oldestMs: 10, isRunning: false },
    10,
    { kind: 'run', numItems: 4 },
  ],
  [
    'more wait than a batch holds',
    { waitingCells: Array(9).fill(10), oldestMs: 10, isRunning: false },
    10,
    { kind: 'run', numItems: 4 },
  ],
  [
    'the next item has more cells than are left',
    { waitingCells: [40, 60, 1], oldestMs: 10, isRunning: false },
    10,
    { kind: 'run', numItems: 2 },
  ],
  [
    'the items have as many cells as a batch may have',
    { waitingCells: [40, 60], oldestMs: 10, isRunning: false },
    10,
    { kind: 'run', numItems: 2 },
  ],
  [
    'the first item has more cells than a batch may have',
    { waitingCells: [500, 1], oldestMs: 10, isRunning: false },
    10,
    { kind: 'run', numItems: 1 },
  ],
  [
    'a small item stands behind one that does not fit',
    { waitingCells: [60, 60, 10], oldestMs: 5, isRunning: false },
    10,
    { kind: 'run', numItems: 1 },
  ],
];

describe('decideBatch', () => {
  for (const [name, state, nowMs, decision] of CASES) {
    it(`answers "${decision.kind}" when ${name}`, () => {
      assert.deepEqual(decideBatch(state, limits, { nowMs }), decision);
    });
  }

  it('never waits without a window', () => {
    const state = { waitingCells: [10], oldestMs: 10, isRunning: false };

    const decision = decideBatch(state, { ...limits, windowMs: 0 }, { nowMs: 10 });

    assert.deepEqual(decision, { kind: 'run', numItems: 1 });
  });
});
