import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertSchedulerInvariants } from '#backbone/engine/scheduler-invariants.ts';
import { MeshError } from '#mesh/errors.ts';
import { commitWith, ids, runStep, schedulerOf, sequenceOf } from './scheduling.ts';

describe('Scheduler batching', () => {
  it('computes a short prompt whole and then one token a step', () => {
    const scheduler = schedulerOf();
    const sequence = sequenceOf({ id: 1 });
    scheduler.add([sequence]);

    const steps = [runStep(scheduler), runStep(scheduler), runStep(scheduler)];

    assert.deepEqual(steps, [[[1, 0, 8]], [[1, 8, 1]], [[1, 9, 1]]]);
    assert.deepEqual(sequence.tokenIds.slice(8), [7, 7, 7]);
  });

  it('gives suspects steps of their own, in turns with all others', () => {
    const scheduler = schedulerOf();
    scheduler.add([
      sequenceOf({ id: 1 }),
      sequenceOf({ id: 2, suspectKey: 'bad' }),
      sequenceOf({ id: 3 }),
    ]);

    const steps = [1, 2, 3, 4].map(() => runStep(scheduler).map(([id]) => id));

    assert.deepEqual(steps, [[2], [1, 3], [2], [1, 3]]);
  });

  it('gives a suspect every step while nobody else has work', () => {
    const scheduler = schedulerOf();
    scheduler.add([sequenceOf({ id: 2, suspectKey: 'bad' })]);

    const steps = [1, 2, 3].map(() => runStep(scheduler).map(([id]) => id));

    assert.deepEqual(steps, [[2], [2], [2]]);
  });

  it('plans nothing when nothing waits or runs', () => {
    assert.equal(schedulerOf().schedule(), null);
  });

  it('puts decode tokens before prefill chunks and fills the rest of the budget', () => {
    const scheduler = schedulerOf({ maxNumBatchedTokens: 10 });
    scheduler.add([sequenceOf({ id: 1 })]);
    runStep(scheduler);
    scheduler.add([sequenceOf({ id: 2, promptTokenIds: ids(500, 20), priority: -5 })]);

    const steps = [runStep(scheduler), runStep(scheduler), runStep(scheduler)];

    assert.deepEqual(steps, [
      [
        [1, 8, 1],
        [2, 0, 9],
      ],
      [
        [1, 9, 1],
        [2, 9, 9],
      ],
      [
        [1, 10, 1],
        [2, 18, 2],
      ],
    ]);
  });

  it('samples only from the last chunk of a prompt', () => {
    const scheduler = schedulerOf({ maxNumBatchedTokens: 5 });
    scheduler.add([sequenceOf({ id: 1 })]);

    const first = scheduler.schedule();
    assert.equal(first?.chunks[0]?.samples, false);
    commitWith(scheduler, first);

    assert.equal(scheduler.schedule()?.chunks[0]?.samples, true);
  });

  it('runs at most maxNumSeqs sequences', () => {
    const scheduler = schedulerOf({ maxNumSeqs: 2 });
    scheduler.add([1, 2, 3].map((id) => sequenceOf({ id, maxTokens: 2 })));

    assert.deepEqual(
      runStep(scheduler).map(([id]) => id),
      [1, 2],
    );
    assert.deepEqual(
      runStep(scheduler).map(([id]) => id),
      [1, 2],
    );
    assert.deepEqual(
      runStep(scheduler).map(([id]) => id),
      [3],
    );
  });

  it('starts lower priority numbers first and then earlier arrivals', () => {
    const scheduler = schedulerOf({ maxNumSeqs: 1 });
    const order = [
      sequenceOf({ id: 1, priority: 1, maxTokens: 1 }),
      sequenceOf({ id: 2, priority: 0, maxTokens: 1 }),
      sequenceOf({ id: 3, priority: 0, maxTokens: 1 }),
    ];
    scheduler.add(order);

    const started = [1, 2, 3].map(() => runStep(scheduler)[0]?.[0]);

    assert.deepEqual(started, [2, 3, 1]);
  });

  it('refuses what does not fit into the waiting queue, all sequences of a request or none', () => {
    const scheduler = schedulerOf({ maxNumWaiting: 3 });
    scheduler.add([sequenceOf({ id: 1 }), sequenceOf({ id: 2 })]);

    assert.throws(
      () => scheduler.add([sequenceOf({ id: 3 }), sequenceOf({ id: 4 })]),
      (error) =>
        error instanceof MeshError &&
        error.reason === 'QUEUE_FULL' &&
        (error.retryAfterMs ?? 0) > 0,
    );
    assert.equal(scheduler.waiting.length, 2);
  });
});

describe('Scheduler endings', () => {
  const cases = [
    { name: 'an end-of-sequence id', tokenId: 2, end: { reason: 'stop' } },
    { name: 'a stop id of the request', tokenId: 3, end: { reason: 'stop', stopTokenId: 3 } },
  ] as const;
  for (const { name, tokenId, end } of cases) {
    it(`ends a sequence at ${name} and frees its blocks`, () => {
      const scheduler = schedulerOf();
      const sequence = sequenceOf({ id: 1 });
      scheduler.add([sequence]);

      runStep(scheduler, tokenId);

      assert.deepEqual(sequence.end, end);
      assert.equal(scheduler.pool.numFree, 16);
      assert.equal(scheduler.schedule(), null);
    });
  }

  it('ends a sequence at maxTokens', () => {
    const scheduler = schedulerOf();
    const sequence = sequenceOf({ id: 1, maxTokens: 2 });
    scheduler.add([sequence]);

    runStep(scheduler);
    assert.equal(sequence.end, null);
    runStep(scheduler);

    assert.deepEqual(sequence.end, { reason: 'length' });
  });

  it('only computes the prompt when no token may be generated', () => {
    const scheduler = schedulerOf({ maxNumBatchedTokens: 5 });
    const sequence = sequenceOf({ id: 1, maxTokens: 0 });
    scheduler.add([sequence]);

    runStep(scheduler);
    assert.equal(sequence.end, null);
    runStep(scheduler);

    assert.deepEqual(sequence.end, { reason: 'length' });
    assert.equal(sequence.numCompletionTokens, 0);
  });

  it('counts the tokens of a resumed sequence towards maxTokens', () => {
    const scheduler = schedulerOf();
    const sequence = sequenceOf({ id: 1, completionTokenIds: [7, 7], maxTokens: 3 });
    scheduler.add([sequence]);

    assert.deepEqual(runStep(scheduler), [[1, 0, 10]]);

    assert.deepEqual(sequence.end, { reason: 'length' });
  });

  it('frees everything of a removed sequence, waiting or running', () => {
    const scheduler = schedulerOf({ maxNumSeqs: 1 });
    const [running, waiting] = [sequenceOf({ id: 1 }), sequenceOf({ id: 2 })];
    scheduler.add([running, waiting]);
    runStep(scheduler);

    scheduler.remove(running);
    scheduler.remove(waiting);

    assertSchedulerInvariants(scheduler);
    assert.equal(scheduler.pool.numFree, 16);
    assert.equal(scheduler.schedule(), null);
  });

  it('ignores the result of a sequence removed while its step ran', () => {
    const scheduler = schedulerOf();
    const [gone, stays] = [sequenceOf({ id: 1 }), sequenceOf({ id: 2 })];
    scheduler.add([gone, stays]);
    const step = scheduler.schedule();

    scheduler.remove(gone);
    commitWith(scheduler, step);

    assert.equal(gone.numCompletionTokens, 0);
    assert.equal(stays.numCompletionTokens, 1);
    assert.deepEqual(runStep(scheduler), [[2, 8, 1]]);
  });
});

describe('Scheduler transactions', () => {
  it('refuses to plan a step while one is open', () => {
    const scheduler = schedulerOf();
    scheduler.add([sequenceOf({ id: 1 })]);
    scheduler.schedule();

    assert.throws(() => scheduler.schedule(), /still open/);
  });

  it('frees the blocks of a failed step, keeps none of them findable and lets the others live', () => {
    const scheduler = schedulerOf({ maxNumSeqs: 1 });
    const [failed, other] = [sequenceOf({ id: 1 }), sequenceOf({ id: 2 })];
    scheduler.add([failed, other]);
    const step = scheduler.schedule();
    assert.ok(step !== null);

    scheduler.fail(step);

    assertSchedulerInvariants(scheduler);
    assert.equal(failed.state, 'finished');
    assert.equal(scheduler.pool.numFree, 16);
    assert.equal(scheduler.prefixCache.numCachedBlocks, 0);
    assert.deepEqual(runStep(scheduler), [[2, 0, 8]]);
  });
});
