import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type BatchDecision,
  type BatchState,
  decideBatch,
  type WaitingItem,
} from '#encoder/encoder-batch-policy.ts';

type State = Omit<BatchState<WaitingItem>, 'servedTo'>;

/** A decision, with the number of items instead of them. */
type Decided =
  | Exclude<BatchDecision<WaitingItem>, { kind: 'run' }>
  | { readonly kind: 'run'; readonly numItems: number };

/** Returns waiting items of these sizes, of one client and none of them suspect. */
function items(cells: readonly number[]): readonly WaitingItem[] {
  return cells.map((numCells) => ({ client: '', numCells, isSuspect: false }));
}

function decided(state: State, nowMs: number, other: Partial<typeof limits> = {}): Decided {
  const servedTo = () => 0;
  const decision = decideBatch({ ...state, servedTo }, { ...limits, ...other }, { nowMs });
  return decision.kind === 'run' ? { kind: 'run', numItems: decision.items.length } : decision;
}

/** Returns the names of the items of the next batch; an item is named by client, number and cells. */
function nextOf(names: readonly string[], served: Readonly<Record<string, number>> = {}) {
  const waiting = names.map((name) => {
    const [client = '', numCells] = name.split(' ');
    return { name, client: client.slice(0, 1), numCells: Number(numCells), isSuspect: false };
  });
  const state = { waiting, oldestMs: 0, isRunning: false };
  const servedTo = (client: string) => served[client] ?? 0;
  const decision = decideBatch({ ...state, servedTo }, limits, { nowMs: 5 });
  return decision.kind === 'run' ? decision.items.map(({ name }) => name) : [];
}

const limits = { maxBatchSize: 4, maxCells: 100, windowMs: 5 };

const CASES: readonly [string, State, number, Decided][] = [
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
      assert.deepEqual(decided(state, nowMs), decision);
    });
  }

  it('encodes nothing beside a suspect', () => {
    const at = (...suspects: number[]) => ({
      waiting: [0, 1, 2].map((i) => ({
        client: '',
        numCells: 10,
        isSuspect: suspects.includes(i),
      })),
      oldestMs: 10,
      isRunning: false,
    });
    const numFirst = [at(0), at(1), at(2), at(0, 1)].map((state) => decided(state, 15));

    assert.deepEqual(
      numFirst.map((decision) => decision.kind === 'run' && decision.numItems),
      [1, 1, 2, 1],
    );
  });

  it('never waits without a window', () => {
    const state = { waiting: items([10]), oldestMs: 10, isRunning: false };

    assert.deepEqual(decided(state, 10, { windowMs: 0 }), { kind: 'run', numItems: 1 });
  });

  it('takes the items of clients by turns, and those of one as they came', () => {
    const names = ['a1 10', 'a2 10', 'a3 10', 'a4 10', 'b1 10', 'b2 10'];

    assert.deepEqual(nextOf(names), ['a1 10', 'b1 10', 'a2 10', 'b2 10']);
    assert.deepEqual(nextOf(names, { a: 20 }), ['b1 10', 'b2 10', 'a1 10', 'a2 10']);
  });

  it('counts what clients have got in cells', () => {
    const names = ['a1 40', 'a2 40', 'b1 10', 'b2 10', 'b3 10'];

    assert.deepEqual(nextOf(names), ['a1 40', 'b1 10', 'b2 10', 'b3 10']);
  });

  it('fills a batch with what others have when an item does not fit, which is next', () => {
    const names = ['a1 10', 'b1 99', 'a2 10', 'a3 10', 'b2 10', 'a4 10'];

    assert.deepEqual(nextOf(names), ['a1 10', 'a2 10', 'a3 10', 'a4 10']);
    assert.deepEqual(nextOf(['b1 99', 'a5 10', 'b2 10'], { a: 40 }), ['b1 99']);
  });
});
