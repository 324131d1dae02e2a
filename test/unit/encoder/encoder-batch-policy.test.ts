import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type BatchDecision, type BatchState, decideBatch } from '#encoder/encoder-batch-policy.ts';

/** Returns waiting items of these sizes, none of them suspect. */
function items(cells: readonly number[]) {
  return cells.map((numCells) => ({ numCells, isSuspect: false }));
}

const limits = { maxBatchSize: 4, maxCells: 100, windowMs: 5 };

const CASES: readonly [string, BatchState, number, BatchDecision][] = [
  ['nothing waits', { waiting: items([]), oldestMs: 0, isRunning: false }, 10, { kind: 'idle' }],
  [
    'a batch runs',
    { waiting: items(Array(9).fill(10)), oldestMs: 0, isRunning: true },
    10,
    { kind: 'idle' },
  ],
  [
    'the first item may have company soon',
    { waiting: items([10]), oldestMs: 8, isRunning: false },
    10,
    { kind: 'wait', untilMs: 13 },
  ],
  [
    'the window is over',
    { waiting: items([10]), oldestMs: 5, isRunning: false },
    10,
    { kind: 'run', numItems: 1 },
  ],
  [
    'the batch is full before the window is over',
    { waiting: items(Array(4).fill(10)), oldestMs: 10, isRunning: false },
    10,
    { kind: 'run', numItems: 4 },
  ],
  [
    'more wait than a batch holds',
    { waiting: items(Array(9).fill(10)), oldestMs: 10, isRunning: false },
    10,
    { kind: 'run', numItems: 4 },
  ],
  [
    'the next item has more cells than are left',
    { waiting: items([40, 60, 1]), oldestMs: 10, isRunning: false },
    10,
    { kind: 'run', numItems: 2 },
  ],
  [
    'the items have as many cells as a batch may have',
    { waiting: items([40, 60]), oldestMs: 10, isRunning: false },
    10,
    { kind: 'run', numItems: 2 },
  ],
  [
    'the first item has more cells than a batch may have',
    { waiting: items([500, 1]), oldestMs: 10, isRunning: false },
    10,
    { kind: 'run', numItems: 1 },
  ],
  [
    'a small item stands behind one that does not fit',
    { waiting: items([60, 60, 10]), oldestMs: 5, isRunning: false },
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

  it('encodes nothing beside a suspect', () => {
    const at = (...suspects: number[]) => ({
      waiting: [0, 1, 2].map((i) => ({ numCells: 10, isSuspect: suspects.includes(i) })),
      oldestMs: 10,
      isRunning: false,
    });
    const numFirst = [at(0), at(1), at(2), at(0, 1)].map((state) =>
      decideBatch(state, limits, { nowMs: 15 }),
    );

    assert.deepEqual(
      numFirst.map((decision) => decision.kind === 'run' && decision.numItems),
      [1, 1, 2, 1],
    );
  });

  it('never waits without a window', () => {
    const state = { waiting: items([10]), oldestMs: 10, isRunning: false };

    const decision = decideBatch(state, { ...limits, windowMs: 0 }, { nowMs: 10 });

    assert.deepEqual(decision, { kind: 'run', numItems: 1 });
  });
});
