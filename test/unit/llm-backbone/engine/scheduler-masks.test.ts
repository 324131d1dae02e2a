import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SamplerState } from '#backbone/engine/sampler-state.ts';
import type { Scheduler } from '#backbone/engine/scheduler.ts';
import { assertSchedulerInvariants } from '#backbone/engine/scheduler-invariants.ts';
import type { Sequence } from '#backbone/engine/sequence.ts';
import type { TokenConstraint } from '#backbone/engine/token-constraint.ts';
import { GREEDY, ids, imageAt, schedulerOf, sequenceOf } from './scheduling.ts';

/** A time that masks alone let pass, milliseconds. */
class MaskClock {
  ms = 0;

  /** Returns a constraint that allows anything, each mask of which takes so long. */
  constraint(maskMs: () => number): TokenConstraint {
    return {
      mask: () => {
        this.ms += maskMs();
        return undefined;
      },
      numAllowed: (draftIds) => draftIds.length,
      accept: () => {},
    };
  }
}

interface Shape {
  readonly id: number;
  readonly client: string;
  /** Milliseconds of a mask; without it there is none. */
  readonly maskMs?: (() => number) | number;
}

/** Schedulers and their sequences, whose masks take a time of the test's. */
class Masks {
  readonly #clock = new MaskClock();

  sequence({ id, client, maskMs }: Shape): Sequence {
    const cost = typeof maskMs === 'number' ? () => maskMs : maskMs;
    const settings = {
      ...GREEDY,
      ...(cost !== undefined && { createConstraint: () => this.#clock.constraint(cost) }),
    };
    const prompt = ids(1000 * id, 4);
    const sampler = new SamplerState(settings, prompt, [], 0, () => this.#clock.ms);
    return sequenceOf({ id, client, promptTokenIds: prompt, sampler, maxTokens: 1000 });
  }

  /** Runs a step of so many milliseconds; returns its sequences and the time of its masks. */
  step(scheduler: Scheduler, ms = 0): { readonly ids: number[]; readonly maskMs: number } {
    const step = scheduler.schedule() ?? assert.fail('nothing was scheduled');
    const startMs = this.#clock.ms;
    for (const { sequence, samples } of step.chunks) if (samples) sequence.sampler.nextParams();
    const maskMs = this.#clock.ms - startMs;
    scheduler.commit(
      step,
      step.chunks.map(({ samples }) => (samples ? [7] : [])),
      ms,
    );
    assertSchedulerInvariants(scheduler);
    return { ids: step.chunks.map(({ sequence }) => sequence.id), maskMs };
  }
}

/** Returns a scheduler with room for many sequences of one client with costly masks, and another's. */
function crowd(masks: Masks, { maskMs = 3, others = 1 } = {}): Scheduler {
  const scheduler = schedulerOf({ numBlocks: 2000, maxNumSeqs: 32, maxNumBatchedTokens: 256 });
  scheduler.add(ids(0, 8).map((id) => masks.sequence({ id, client: 'costly', maskMs })));
  scheduler.add(ids(100, others).map((id) => masks.sequence({ id, client: 'plain' })));
  return scheduler;
}

describe('The time of masks', () => {
  it('is bounded in each step while another client has sequences, which are in every one', () => {
    const masks = new Masks();
    const scheduler = crowd(masks);
    // What masks take is known after the first.
    assert.equal(masks.step(scheduler).maskMs, 24);

    const steps = ids(0, 200).map(() => masks.step(scheduler));

    assert(steps.every((step) => step.ids.includes(100)));
    assert(Math.max(...steps.map(({ maskMs }) => maskMs)) <= 3);
    const total = steps.reduce((sum, { maskMs }) => sum + maskMs, 24);
    assert(total <= 3 * 201, `${total} ms in 201 steps`);
    assert(total > 3 * 190, `${total} ms in 201 steps`);
  });

  it('goes in turns to the sequences of a client', () => {
    const masks = new Masks();
    const scheduler = crowd(masks);
    const counts = new Map<number, number>();

    for (let i = 0; i < 100; i++) {
      for (const id of masks.step(scheduler).ids) counts.set(id, (counts.get(id) ?? 0) + 1);
    }

    const ofCostly = ids(0, 8).map((id) => counts.get(id) ?? 0);
    assert(Math.min(...ofCostly) >= Math.max(...ofCostly) - 1, ofCostly.join());
  });

  it('grows with the time of steps', () => {
    const masks = new Masks();
    const scheduler = crowd(masks);
    for (let i = 0; i < 10; i++) masks.step(scheduler, 100);

    assert.deepEqual(masks.step(scheduler, 100).ids, [...ids(0, 8), 100]);
  });

  it('is as long as it takes for a client that is alone, which then owes nothing', () => {
    const masks = new Masks();
    const scheduler = crowd(masks, { others: 0 });
    for (let i = 0; i < 50; i++) assert.equal(masks.step(scheduler).ids.length, 8);

    scheduler.add([masks.sequence({ id: 100, client: 'plain' })]);

    assert(masks.step(scheduler).ids.length >= 2);
  });

  it('is not bounded where it is short', () => {
    const masks = new Masks();
    const scheduler = crowd(masks, { maskMs: 0.3 });

    for (let i = 0; i < 50; i++) assert.equal(masks.step(scheduler).ids.length, 9);
  });

  it('is made up for by requests that come anew, too', () => {
    const masks = new Masks();
    const scheduler = crowd(masks);
    masks.step(scheduler);

    scheduler.add([masks.sequence({ id: 50, client: 'costly', maskMs: 3 })]);
    scheduler.add([masks.sequence({ id: 51, client: 'costly' })]);
    scheduler.add([masks.sequence({ id: 101, client: 'third', maskMs: 0.1 })]);

    // Others, and what needs no mask, start at once.
    assert.deepEqual(masks.step(scheduler).ids.sort(), [100, 101, 51].sort());
    const next = ids(0, 10).map(() => masks.step(scheduler).ids);
    // 21 ms too many were taken, 3 are paid in each step, the one before among them.
    assert.equal(
      next.findIndex((one) => one.includes(50)),
      6,
    );
  });

  it('is forgiven where nobody else has anything to compute', () => {
    const masks = new Masks();
    const scheduler = schedulerOf({ numBlocks: 2000, maxNumSeqs: 32, maxNumBatchedTokens: 256 });
    scheduler.add(ids(0, 8).map((id) => masks.sequence({ id, client: 'costly', maskMs: 30 })));
    const image = sequenceOf({ id: 9, client: 'b', placeholders: [imageAt(0, 8)] });
    scheduler.add([image]);
    masks.step(scheduler);

    for (let i = 0; i < 20; i++) assert(masks.step(scheduler).ids.length > 0);
  });

  it('that jumps is made up for afterwards', () => {
    const masks = new Masks();
    let cost = 0.1;
    const scheduler = schedulerOf({ numBlocks: 2000 });
    scheduler.add([masks.sequence({ id: 0, client: 'costly', maskMs: () => cost })]);
    scheduler.add([masks.sequence({ id: 1, client: 'plain' })]);
    masks.step(scheduler);
    cost = 30;
    assert.deepEqual(masks.step(scheduler).ids, [0, 1]);
    cost = 0.1;

    const next = ids(0, 9).map(() => masks.step(scheduler).ids.length);

    assert.deepEqual(next, [1, 1, 1, 1, 1, 1, 1, 1, 1]);
    assert.deepEqual(masks.step(scheduler).ids, [0, 1]);
  });
});
