import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buildStepPlan, readStepResult } from '#backbone/engine/step-plan.ts';
import { mropePositions } from '#backbone/media/mrope.ts';
import { commitWith, ids, imageAt, rowsFor, schedulerOf, sequenceOf } from './scheduling.ts';

function planNext(scheduler: ReturnType<typeof schedulerOf>) {
  const step = scheduler.schedule();
  assert.ok(step !== null);
  return { step, plan: buildStepPlan(step, scheduler.options.blockSize) };
}

describe('buildStepPlan', () => {
  it('lays tokens of all sequences one after another with their slots and positions', () => {
    const scheduler = schedulerOf({ maxNumBatchedTokens: 7 });
    scheduler.add([sequenceOf({ id: 1, promptTokenIds: ids(10, 5) })]);
    commitWith(scheduler, scheduler.schedule());
    scheduler.add([sequenceOf({ id: 2, promptTokenIds: ids(50, 9) })]);

    const { plan } = planNext(scheduler);

    assert.deepEqual([...plan.tokenIds], [7, 50, 51, 52, 53, 54, 55]);
    assert.deepEqual([...plan.queryStarts], [0, 1, 7]);
    assert.deepEqual([...plan.contextLens], [6, 6]);
    const positions = [5, 0, 1, 2, 3, 4, 5];
    assert.deepEqual([...plan.positions], [...positions, ...positions, ...positions]);
    const [first, second] = scheduler.running.map((sequence) => sequence.blockTable);
    assert.ok(first && second);
    assert.equal(plan.maxBlocksPerSequence, 2);
    assert.deepEqual([...plan.blockTables], [...first, ...second.slice(0, 2)]);
    const slot = (table: number[], token: number) => (table[token >> 2] ?? -1) * 4 + (token & 3);
    const slots = [slot(first, 5), ...ids(0, 6).map((token) => slot(second, token))];
    assert.deepEqual([...plan.slotMapping], slots);
  });

  it('fills unused block table entries with -1', () => {
    const scheduler = schedulerOf();
    scheduler.add([
      sequenceOf({ id: 1, promptTokenIds: ids(10, 9) }),
      sequenceOf({ id: 2, promptTokenIds: ids(50, 2) }),
    ]);

    const { plan } = planNext(scheduler);

    assert.deepEqual([...plan.blockTables.subarray(4)], [-1, -1]);
  });

  it('samples from the last row of a chunk that completes its sequence', () => {
    const scheduler = schedulerOf({ maxNumBatchedTokens: 6 });
    scheduler.add([
      sequenceOf({ id: 1, promptTokenIds: ids(10, 4), completionTokenIds: [8], numLogprobs: 2 }),
      sequenceOf({ id: 2, promptTokenIds: ids(50, 2) }),
    ]);

    const { plan } = planNext(scheduler);

    assert.equal(plan.outputs.length, 1);
    assert.equal(plan.outputs[0]?.token, 4);
    assert.equal(plan.outputs[0]?.numLogprobs, 2);
    assert.equal(plan.outputs[0]?.sample?.position, 1);
  });

  it('scores prompt tokens with the row before them', () => {
    const scheduler = schedulerOf({ maxNumBatchedTokens: 3 });
    scheduler.add([sequenceOf({ id: 1, promptTokenIds: ids(10, 5), numPromptLogprobs: 1 })]);
    commitWith(scheduler, scheduler.schedule());

    const { plan } = planNext(scheduler);

    const targets = plan.outputs.map(({ token, sample, targetToken }) => ({
      token,
      target: sample === null ? targetToken : 'sampled',
    }));
    assert.deepEqual(targets, [
      { token: 0, target: 14 },
      { token: 1, target: 'sampled' },
    ]);
  });

  it('hands over the part of a media item that lies in the chunk', () => {
    const scheduler = schedulerOf({ maxNumBatchedTokens: 4 });
    const image = imageAt(2, 5);
    const sequence = sequenceOf({ id: 1, placeholders: [image] });
    const { rows } = rowsFor(image);
    sequence.media.supply(image, rowsFor(image));
    scheduler.add([sequence]);
    const first = planNext(scheduler);
    commitWith(scheduler, first.step);

    const second = planNext(scheduler);

    assert.deepEqual(first.plan.mediaRows, [
      { firstToken: 2, numRows: 2, dtype: 'bfloat16', rows: rows.subarray(0, 8) },
    ]);
    assert.deepEqual(second.plan.mediaRows, [
      { firstToken: 0, numRows: 3, dtype: 'bfloat16', rows: rows.subarray(8, 20) },
    ]);
  });
});

describe('rotary positions in a plan', () => {
  it('are those of the prompt, and continue behind it by its delta', () => {
    const scheduler = schedulerOf({ maxNumBatchedTokens: 4 });
    const image = imageAt(1, 4);
    const positions = mropePositions(6, [{ firstToken: 1, numRows: 2, numColumns: 2 }]);
    const sequence = sequenceOf({
      id: 1,
      promptTokenIds: ids(10, 6),
      placeholders: [image],
      positions,
    });
    sequence.media.supply(image, rowsFor(image));
    scheduler.add([sequence]);
    const plans = [0, 1, 2].map(() => {
      const { step, plan } = planNext(scheduler);
      commitWith(scheduler, step);
      return [...plan.positions];
    });

    assert.deepEqual(plans[0], [0, 1, 1, 1, 0, 1, 1, 2, 0, 1, 2, 1]);
    assert.deepEqual(plans[1], [1, 3, 2, 3, 2, 3]);
    assert.deepEqual(plans[2], [4, 4, 4]);
  });
});

describe('readStepResult', () => {
  it('sorts scores and samples back to their chunks', () => {
    const scheduler = schedulerOf();
    scheduler.add([
      sequenceOf({ id: 1, promptTokenIds: ids(10, 3), numPromptLogprobs: 0 }),
      sequenceOf({ id: 2, promptTokenIds: ids(50, 2), numLogprobs: 1 }),
    ]);
    const { step } = planNext(scheduler);

    const [first, second] = readStepResult(step, {
      tokenIds: Uint32Array.of(11, 12, 5, 6),
      logprobs: Float32Array.of(-1, -2, Number.NaN, -4),
      ranks: Uint32Array.of(1, 2, 0, 4),
      topTokenIds: Uint32Array.of(0, 0, 0, 9),
      topLogprobs: Float32Array.of(0, 0, 0, -0.5),
      maxTop: 1,
      forwardUs: 1,
      idleUs: 0,
      failures: [],
      pooledSums: [],
    });

    assert.deepEqual(
      first?.promptScores.map((scored) => scored.tokenId),
      [11, 12],
    );
    assert.deepEqual(
      first?.promptScores.map((scored) => scored.score?.logprob),
      [-1, -2],
    );
    assert.deepEqual(first?.sampled, [{ tokenId: 5, score: null }]);
    assert.equal(second?.sampled[0]?.tokenId, 6);
    assert.deepEqual([...(second?.sampled[0]?.score?.topTokenIds ?? [])], [9]);
  });
});
