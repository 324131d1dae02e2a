import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ids, runStep, schedulerOf, sequenceOf, shapeOf } from './scheduling.ts';

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
