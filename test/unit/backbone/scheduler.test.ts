import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertSchedulerInvariants } from '#backbone/scheduler-invariants.ts';
import { MeshError } from '#mesh/errors.ts';
import { commitWith, ids, runStep, schedulerOf, sequenceOf, shapeOf } from './scheduling.ts';

describe('Scheduler batching', () => {
  it('computes a short prompt whole and then one token a step', () => {
    const scheduler = schedulerOf();
    const sequence = sequenceOf({ id: 1 });
    scheduler.add([sequence]);

    const steps = [runStep(scheduler), runStep(scheduler), runStep(scheduler)];

    assert.deepEqual(steps, [[[1, 0, 8]], [[1, 8, 1]], [[1, 9, 1]]]);
    assert.deepEqual(sequence.tokenIds.slice(8), [7, 7, 7]);
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

describe('Scheduler prefix cache', () => {
  it('computes only what an earlier sequence has not', () => {
    const scheduler = schedulerOf();
    const prompt = ids(500, 11);
    scheduler.add([sequenceOf({ id: 1, promptTokenIds: prompt, maxTokens: 1 })]);
    runStep(scheduler);
    const sequence = sequenceOf({ id: 2, promptTokenIds: [...prompt, 1, 4] });
    scheduler.add([sequence]);

    assert.deepEqual(runStep(scheduler), [[2, 8, 5]]);

    assert.equal(sequence.numCachedTokens, 8);
    assert.equal(scheduler.counts.numPrefixHitTokens, 8);
    assert.equal(scheduler.counts.numPrefixQueryTokens, 24);
  });

  it('always computes the last prompt token', () => {
    const scheduler = schedulerOf();
    const prompt = ids(500, 8);
    scheduler.add([sequenceOf({ id: 1, promptTokenIds: prompt })]);
    runStep(scheduler);
    scheduler.add([sequenceOf({ id: 2, promptTokenIds: prompt })]);

    assert.deepEqual(runStep(scheduler).at(-1), [2, 4, 4]);
  });

  it('shares blocks between sequences that run together', () => {
    const scheduler = schedulerOf();
    const prompt = ids(500, 9);
    scheduler.add([sequenceOf({ id: 1, promptTokenIds: prompt })]);
    runStep(scheduler);
    scheduler.add([sequenceOf({ id: 2, promptTokenIds: prompt })]);

    runStep(scheduler);

    const [a, b] = scheduler.running;
    assert.deepEqual(a?.blockTable.slice(0, 2), b?.blockTable.slice(0, 2));
    assert.notEqual(a?.blockTable[2], b?.blockTable[2]);
    assert.equal(scheduler.pool.numFree, 16 - 4);
  });

  it('keeps later choices behind the first one, so that they find its blocks', () => {
    const scheduler = schedulerOf();
    const promptTokenIds = ids(500, 9);
    const leader = sequenceOf({ id: 1, promptTokenIds });
    const follower = sequenceOf({ id: 2, promptTokenIds, leader });
    scheduler.add([leader, follower, sequenceOf({ id: 3 })]);

    assert.deepEqual(
      runStep(scheduler).map(([id]) => id),
      [1, 3],
    );
    runStep(scheduler);

    assert.equal(follower.numCachedTokens, 8);
  });

  it('gives up the least recently used prefix first', () => {
    const scheduler = schedulerOf({ numBlocks: 6 });
    const prompts = [ids(100, 8), ids(200, 8), ids(300, 16)];
    for (const [i, promptTokenIds] of prompts.entries()) {
      scheduler.add([sequenceOf({ id: i + 1, promptTokenIds, maxTokens: 1 })]);
      runStep(scheduler);
    }
    const [old, recent] = prompts.map((promptTokenIds, i) =>
      sequenceOf({ id: 9 - i, promptTokenIds: promptTokenIds.slice(0, 7), maxTokens: 1 }),
    );
    assert.ok(old && recent);

    scheduler.add([recent, old]);
    runStep(scheduler);

    assert.equal(recent.numCachedTokens, 4);
    assert.equal(old.numCachedTokens, 0);
  });

  it('does not use cached rows where every prompt row is scored', () => {
    const scheduler = schedulerOf();
    const promptTokenIds = ids(500, 9);
    scheduler.add([sequenceOf({ id: 1, promptTokenIds, maxTokens: 1 })]);
    runStep(scheduler);
    scheduler.add([sequenceOf({ id: 2, promptTokenIds, numPromptLogprobs: 0 })]);

    const step = scheduler.schedule();

    assert.deepEqual(shapeOf(step), [[2, 0, 9]]);
    assert.deepEqual(step?.chunks[0]?.scoredRows, { start: 0, end: 8 });
  });
});

describe('Scheduler preemption', () => {
  it('preempts the latest arrival when blocks run out and recomputes it later', () => {
    const scheduler = schedulerOf({ numBlocks: 4 });
    const [first, second] = [
      sequenceOf({ id: 1, promptTokenIds: ids(100, 8), maxTokens: 5 }),
      sequenceOf({ id: 2, promptTokenIds: ids(200, 7), maxTokens: 3 }),
    ];
    scheduler.add([first, second]);
    runStep(scheduler);

    assert.deepEqual(runStep(scheduler), [[1, 8, 1]]);
    assert.equal(second.state, 'waiting');
    assert.equal(scheduler.counts.numPreemptions, 1);
    for (let i = 0; i < 3; i++) runStep(scheduler, 8);
    const resumed = runStep(scheduler, 8);

    assert.deepEqual(
      resumed.map(([id]) => id),
      [2],
    );
    runStep(scheduler, 8);
    assert.deepEqual(second.tokenIds.slice(7), [7, 8, 8]);
    assert.equal(scheduler.pool.numFree, 4);
  });

  it('preempts the lowest priority rather than the latest arrival', () => {
    const scheduler = schedulerOf({ numBlocks: 4 });
    const [low, high] = [
      sequenceOf({ id: 1, promptTokenIds: ids(100, 8), priority: 1 }),
      sequenceOf({ id: 2, promptTokenIds: ids(200, 8), priority: 0 }),
    ];
    scheduler.add([low, high]);
    runStep(scheduler);

    assert.deepEqual(runStep(scheduler), [[2, 8, 1]]);
    assert.equal(low.state, 'waiting');
  });

  it('takes a preempted sequence out of the step it was already planned into', () => {
    const scheduler = schedulerOf({ numBlocks: 6, maxNumBatchedTokens: 8 });
    const low = sequenceOf({ id: 1, promptTokenIds: ids(100, 6), priority: 1 });
    scheduler.add([low]);
    runStep(scheduler);
    const high = sequenceOf({ id: 2, promptTokenIds: ids(200, 16), priority: 0 });
    scheduler.add([high]);
    runStep(scheduler);
    runStep(scheduler, 7);

    const shapes = [runStep(scheduler), runStep(scheduler)];

    assert.equal(low.state, 'waiting');
    assert.deepEqual(
      shapes.at(-1)?.map(([id]) => id),
      [2],
    );
  });

  it('does not score prompt rows twice after a preemption', () => {
    const scheduler = schedulerOf({ numBlocks: 4 });
    const low = sequenceOf({
      id: 2,
      promptTokenIds: ids(200, 7),
      numPromptLogprobs: 0,
      maxTokens: 3,
    });
    const high = sequenceOf({ id: 1, promptTokenIds: ids(100, 8), maxTokens: 2 });
    scheduler.add([high, low]);
    runStep(scheduler);
    runStep(scheduler);

    const step = scheduler.schedule();

    assert.deepEqual(shapeOf(step), [[2, 0, 8]]);
    assert.deepEqual(step?.chunks[0]?.scoredRows, { start: 0, end: 0 });
  });
});

/** Small numbers from a seed: the minimal standard generator. */
function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state * 48271) % 2147483647;
    return state % limit;
  };
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
          promptTokenIds: ids(100 * next(3), 1 + next(30)),
          maxTokens: 1 + next(15),
        }),
      );
      const arrivals = [...sequences];

      for (let step = 0; step < 5000 && sequences.some((s) => s.state !== 'finished'); step++) {
        if (arrivals.length > 0 && next(3) === 0) scheduler.add(arrivals.splice(0, 1 + next(3)));
        const planned = scheduler.schedule();
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
