import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type BatchDecision, type BatchState, decideBatch } from '#encoder/encoder-batch-policy.ts';

const limits = { maxBatchSize: 4, windowMs: 5 };

const CASES: readonly [string, BatchState, number, BatchDecision][] = [
  ['nothing waits', { numWaiting: 0, oldestMs: 0, isRunning: false }, 10, { kind: 'idle' }],
  ['a batch runs', { numWaiting: 9, oldestMs: 0, isRunning: true }, 10, { kind: 'idle' }],
  [
    'the first item may have company soon',
    { numWaiting: 1, oldestMs: 8, isRunning: false },
    10,
    { kind: 'wait', untilMs: 13 },
  ],
  [
    'the window is over',
    { numWaiting: 1, oldestMs: 5, isRunning: false },
    10,
    { kind: 'run', numItems: 1 },
  ],
  [
    'the batch is full before the window is over',
    { numWaiting: 4, oldestMs: 10, isRunning: false },
    10,
    { kind: 'run', numItems: 4 },
  ],
  [
    'more wait than a batch holds',
    { numWaiting: 9, oldestMs: 10, isRunning: false },
    10,
    { kind: 'run', numItems: 4 },
  ],
];

describe('decideBatch', () => {
  for (const [name, state, nowMs, decision] of CASES) {
    it(`answers "${decision.kind}" when ${name}`, () => {
      assert.deepEqual(decideBatch(state, limits, { nowMs }), decision);
    });
  }

  it('never waits without a window', () => {
    const state = { numWaiting: 1, oldestMs: 10, isRunning: false };

    const decision = decideBatch(state, { maxBatchSize: 4, windowMs: 0 }, { nowMs: 10 });

    assert.deepEqual(decision, { kind: 'run', numItems: 1 });
  });
});
