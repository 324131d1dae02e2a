import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { WantedRows } from '#backbone/engine/scheduler.ts';
import { assertSchedulerInvariants } from '#backbone/engine/scheduler-invariants.ts';
import { buildStepPlan } from '#backbone/engine/step-plan.ts';
import { commitWith, ids, imageAt, rowsFor, schedulerOf, sequenceOf } from './scheduling.ts';

/** Makes a generator of small numbers from a seed: the minimal standard generator. */
function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state * 48271) % 2147483647;
    return state % limit;
  };
}

/** Makes a prompt with up to two ranges that are images. */
function randomPrompt(next: (limit: number) => number) {
  const first = imageAt(next(9), 1 + next(9), `image${next(3)}`);
  const second = imageAt(first.firstToken + first.numTokens + next(6), 1 + next(5), 'b');
  const placeholders = [first, second].slice(next(3));
  const end = Math.max(0, ...placeholders.map((range) => range.firstToken + range.numTokens));
  return { placeholders, promptTokenIds: ids(100 * next(3), end + 1 + next(15)) };
}

describe('Scheduler under random load', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    it(`keeps its invariants and finishes every sequence, seed ${seed}`, () => {
      const next = random(seed);
      const scheduler = schedulerOf({ numBlocks: 12, maxNumSeqs: 4, maxNumBatchedTokens: 9 });
      const sequences = Array.from({ length: 40 }, (_, id) =>
        sequenceOf({
          id,
          priority: next(3),
          ...randomPrompt(next),
          maxTokens: 1 + next(15),
        }),
      );
      const arrivals = [...sequences];
      const wanted: WantedRows[] = [];

      for (let step = 0; step < 5000 && sequences.some((s) => s.state !== 'finished'); step++) {
        if (arrivals.length > 0 && next(3) === 0) scheduler.add(arrivals.splice(0, 1 + next(3)));
        const planned = scheduler.schedule();
        wanted.push(...scheduler.takeWanted());
        // This throws if a row that the plan reads is missing.
        if (planned !== null) buildStepPlan(planned, scheduler.options.blockSize);
        for (const { sequence, range } of wanted.splice(0, next(3))) {
          sequence.media.supply(range, rowsFor(range));
        }
        const victim = sequences[next(400)];
        if (planned !== null && next(50) === 0) scheduler.fail(planned);
        else if (planned !== null) commitWith(scheduler, planned);
        if (victim !== undefined && !arrivals.includes(victim)) scheduler.remove(victim);
        assertSchedulerInvariants(scheduler);
      }

      assert.ok(sequences.every((sequence) => sequence.state === 'finished'));
      assert.equal(scheduler.pool.numFree, 12);
      assert.ok(scheduler.counts.numPreemptions > 0);
    });
  }
});
