import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Scheduler } from '#backbone/engine/scheduler.ts';
import { assertSchedulerInvariants } from '#backbone/engine/scheduler-invariants.ts';
import { buildStepPlan } from '#backbone/engine/step-plan.ts';
import { refusal } from '#test/refusal.ts';
import { ids, imageAt, rowsFor, runStep, schedulerOf, sequenceOf, ticketOf } from './scheduling.ts';

/** Returns the missing rows, as pairs of sequence id and first token. */
function wantedOf(scheduler: Scheduler): [number, number][] {
  return scheduler.takeWanted().map(({ sequence, range }) => [sequence.id, range.firstToken]);
}

/** Supplies all missing rows. */
function supplyWanted(scheduler: Scheduler): void {
  for (const { sequence, range } of scheduler.takeWanted()) {
    sequence.media.supply(range, rowsFor(range));
  }
}

describe('Scheduler with media', () => {
  it('prefills the full blocks of text before missing rows and then waits without blocks', () => {
    const scheduler = schedulerOf();
    const sequence = sequenceOf({
      id: 1,
      promptTokenIds: ids(0, 20),
      placeholders: [imageAt(10, 4)],
    });
    scheduler.add([sequence]);

    assert.deepEqual(runStep(scheduler), [[1, 0, 8]]);
    assert.equal(scheduler.schedule(), null);

    assert.equal(sequence.state, 'waiting');
    assert.equal(scheduler.pool.numFree, 16);
    assert.equal(scheduler.counts.numPreemptions, 0);
    assertSchedulerInvariants(scheduler);
  });

  it('asks for missing rows once', () => {
    const scheduler = schedulerOf();
    scheduler.add([
      sequenceOf({ id: 1, promptTokenIds: ids(0, 20), placeholders: [imageAt(10, 4)] }),
    ]);
    runStep(scheduler);

    assert.deepEqual(wantedOf(scheduler), [[1, 10]]);
    scheduler.schedule();

    assert.deepEqual(wantedOf(scheduler), []);
  });

  it('goes on behind its text when the rows have come, and lets go of them', () => {
    const scheduler = schedulerOf();
    const image = imageAt(10, 4);
    const sequence = sequenceOf({ id: 1, promptTokenIds: ids(0, 20), placeholders: [image] });
    scheduler.add([sequence]);
    runStep(scheduler);
    supplyWanted(scheduler);

    assert.deepEqual(runStep(scheduler), [[1, 8, 12]]);

    assert.equal(sequence.media.rowsOf(image), null);
    assert.deepEqual(runStep(scheduler), [[1, 20, 1]]);
  });

  it('stops before the first item that is missing, whatever has come of the others', () => {
    const scheduler = schedulerOf();
    const [first, second] = [imageAt(5, 2, 'a'), imageAt(13, 2, 'b')];
    const sequence = sequenceOf({
      id: 1,
      promptTokenIds: ids(0, 20),
      placeholders: [first, second],
    });
    sequence.media.supply(first, rowsFor(first));
    scheduler.add([sequence]);

    assert.deepEqual(runStep(scheduler), [[1, 0, 12]]);

    assert.deepEqual(wantedOf(scheduler), [[1, 13]]);
    assert.equal(scheduler.schedule(), null);
  });

  it('does not start where less than a block stands before the missing rows', () => {
    const scheduler = schedulerOf();
    scheduler.add([sequenceOf({ id: 1, placeholders: [imageAt(3, 2)] })]);

    assert.equal(scheduler.schedule(), null);

    assert.deepEqual(wantedOf(scheduler), [[1, 3]]);
  });

  it('lets others overtake a sequence that waits for rows', () => {
    const scheduler = schedulerOf({ maxNumSeqs: 1, numBlocks: 4 });
    scheduler.add([
      sequenceOf({ id: 1, promptTokenIds: ids(0, 12), placeholders: [imageAt(2, 4)] }),
      sequenceOf({ id: 2, promptTokenIds: ids(100, 12) }),
    ]);

    assert.deepEqual(runStep(scheduler), [[2, 0, 12]]);
  });

  it('wants no rows of an item whose blocks are all in the prefix cache', () => {
    const scheduler = schedulerOf();
    const shape = { promptTokenIds: ids(0, 20), placeholders: [imageAt(2, 9)], maxTokens: 1 };
    scheduler.add([sequenceOf({ id: 1, ...shape })]);
    scheduler.schedule();
    supplyWanted(scheduler);
    runStep(scheduler);
    const again = sequenceOf({ id: 2, ...shape });
    scheduler.add([again]);

    assert.deepEqual(runStep(scheduler), [[2, 16, 4]]);

    assert.deepEqual(wantedOf(scheduler), []);
    assert.equal(again.numCachedTokens, 16);
  });

  it('wants an item that the cached prefix cuts and hands over the rest of its rows', () => {
    const scheduler = schedulerOf();
    const image = imageAt(2, 9);
    const shape = { placeholders: [image], maxTokens: 1 };
    scheduler.add([sequenceOf({ id: 1, promptTokenIds: ids(0, 20), ...shape })]);
    scheduler.schedule();
    supplyWanted(scheduler);
    runStep(scheduler);
    scheduler.add([sequenceOf({ id: 2, promptTokenIds: ids(0, 11), ...shape })]);
    assert.equal(scheduler.schedule(), null);
    assert.deepEqual(wantedOf(scheduler), [[2, 2]]);
    const [sequence] = scheduler.waiting;
    sequence?.media.supply(image, rowsFor(image));

    const step = scheduler.schedule();

    assert.ok(step !== null);
    const { mediaRows } = buildStepPlan(step, scheduler.options.blockSize);
    assert.deepEqual(
      mediaRows.map((media) => [
        media.firstToken,
        media.numRows,
        'rows' in media ? media.rows[0] : undefined,
      ]),
      [[0, 3, 24]],
    );
  });

  it('wants another image behind equal placeholders', () => {
    const scheduler = schedulerOf();
    const promptTokenIds = ids(0, 20);
    scheduler.add([sequenceOf({ id: 1, promptTokenIds, placeholders: [imageAt(4, 8, 'a')] })]);
    runStep(scheduler);
    supplyWanted(scheduler);
    runStep(scheduler);
    const other = sequenceOf({ id: 2, promptTokenIds, placeholders: [imageAt(4, 8, 'b')] });
    scheduler.add([other]);
    runStep(scheduler);

    assert.deepEqual(wantedOf(scheduler), [[2, 4]]);
  });

  it('asks again for the rows of a preempted sequence whose blocks are gone', () => {
    const scheduler = schedulerOf({ numBlocks: 5 });
    const placeholders = [imageAt(1, 5)];
    const low = sequenceOf({ id: 2, promptTokenIds: ids(200, 7), placeholders, maxTokens: 9 });
    scheduler.add([sequenceOf({ id: 1, promptTokenIds: ids(100, 8), maxTokens: 6 }), low]);
    runStep(scheduler);
    supplyWanted(scheduler);

    while (scheduler.running.length > 0) runStep(scheduler);

    assert.equal(scheduler.counts.numPreemptions, 1);
    assert.equal(low.state, 'waiting');
    assert.deepEqual(wantedOf(scheduler), [[2, 1]]);
  });

  it('counts requests whose media are being read among those that wait', () => {
    const scheduler = schedulerOf({ maxNumWaitingMedia: 3 });
    const ticket = ticketOf({ needsMedia: true });
    scheduler.reserve(ticket, 2);
    assert.throws(
      () => scheduler.reserve(ticketOf({ needsMedia: true }), 2),
      refusal('QUEUE_FULL', /2 sequences that need media are waiting/),
    );

    scheduler.giveUp(ticket);

    scheduler.reserve(ticketOf({ needsMedia: true }), 3);
  });

  it('starts a prompt whose tokens are scored only with all its rows', () => {
    const scheduler = schedulerOf();
    const sequence = sequenceOf({
      id: 1,
      promptTokenIds: ids(0, 20),
      placeholders: [imageAt(10, 4)],
      numPromptLogprobs: 0,
    });
    scheduler.add([sequence]);
    assert.equal(scheduler.schedule(), null);
    supplyWanted(scheduler);

    assert.deepEqual(runStep(scheduler), [[1, 0, 20]]);
  });
});
