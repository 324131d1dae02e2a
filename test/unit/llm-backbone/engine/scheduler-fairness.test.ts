import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Scheduler } from '#backbone/engine/scheduler.ts';
import { refusal } from '#test/refusal.ts';
import { ids, imageAt, runStep, schedulerOf, sequenceOf, ticketOf } from './scheduling.ts';

const full = refusal('QUEUE_FULL', /retry later/);

/** Runs to the end; returns the sequences in the order of their first token. */
function startOrder(scheduler: Scheduler): number[] {
  const order = new Set<number>();
  while (scheduler.waiting.length + scheduler.running.length > 0) {
    for (const [id] of runStep(scheduler)) order.add(id);
  }
  return [...order];
}

function flood(client: string, count: number, first = 0) {
  return ids(first, count).map((id) => sequenceOf({ id, client, arrivalMs: id, maxTokens: 1 }));
}

describe('Scheduler fairness between clients', () => {
  it('gives a second client its turn before the rest of a flood', () => {
    const scheduler = schedulerOf({ maxNumSeqs: 1 });
    scheduler.add(flood('flood', 6));
    scheduler.add(flood('single', 1, 10));

    assert.deepEqual(startOrder(scheduler), [0, 10, 1, 2, 3, 4, 5]);
  });

  it('counts tokens, not requests', () => {
    const scheduler = schedulerOf({ maxNumSeqs: 1, maxNumBatchedTokens: 64 });
    const long = [0, 1].map((id) =>
      sequenceOf({ id, client: 'long', promptTokenIds: ids(1000 * id, 24), maxTokens: 1 }),
    );
    scheduler.add([...long, ...flood('short', 4, 10)]);

    // Prompts of 24 tokens against prompts of 8: three short ones weigh more than a long one.
    assert.deepEqual(startOrder(scheduler), [0, 10, 11, 12, 1, 13]);
  });

  it('lets a client that was away save nothing up', () => {
    const scheduler = schedulerOf({ maxNumSeqs: 1 });
    scheduler.add(flood('busy', 8));
    for (let step = 0; step < 4; step++) runStep(scheduler);
    scheduler.add(flood('late', 8, 10));

    assert.deepEqual(startOrder(scheduler).slice(0, 6), [4, 10, 5, 11, 6, 12]);
  });

  it('lets nobody overtake a sequence that does not fit yet', () => {
    const scheduler = schedulerOf({ numBlocks: 8, maxNumSeqs: 4 });
    scheduler.add([sequenceOf({ id: 0, client: 'a', promptTokenIds: ids(0, 20), maxTokens: 9 })]);
    runStep(scheduler);
    const large = sequenceOf({ id: 1, client: 'a', promptTokenIds: ids(100, 24), maxTokens: 1 });
    scheduler.add([large]);
    runStep(scheduler);
    scheduler.add(flood('b', 3, 10));

    assert.deepEqual(startOrder(scheduler), [0, 1, 10, 11, 12]);
  });

  it('forgets a client whose sequences have gone', () => {
    const scheduler = schedulerOf({ maxNumSeqs: 1 });
    for (let round = 0; round < 3; round++) {
      scheduler.add(flood(`client ${round}`, 2, 10 * round));
      startOrder(scheduler);
    }

    assert.equal(scheduler.numClients, 0);
  });
});

function runningIds(scheduler: Scheduler): number[] {
  return scheduler.running.map(({ id }) => id);
}

describe('The places of running sequences', () => {
  it('go from the client that has all to one that comes, the last place first', () => {
    const scheduler = schedulerOf({ maxNumSeqs: 4 });
    scheduler.add(ids(0, 6).map((id) => sequenceOf({ id, client: 'long', arrivalMs: id })));
    runStep(scheduler);

    scheduler.add([sequenceOf({ id: 10, client: 'single', arrivalMs: 10, maxTokens: 2 })]);

    assert.deepEqual(runStep(scheduler), [
      [0, 8, 1],
      [1, 8, 1],
      [2, 8, 1],
      [10, 0, 8],
    ]);
    runStep(scheduler);
    runStep(scheduler);
    assert.deepEqual(runningIds(scheduler), [0, 1, 2, 3]);
  });

  it('keep what a sequence that cedes its place has computed', () => {
    const scheduler = schedulerOf({ maxNumSeqs: 2 });
    scheduler.add(ids(0, 2).map((id) => sequenceOf({ id, client: 'long' })));
    runStep(scheduler);
    scheduler.add([sequenceOf({ id: 10, client: 'single', maxTokens: 1 })]);
    runStep(scheduler);

    // Eight tokens of the prompt lie in two full blocks, which the prefix cache has.
    assert.deepEqual(runStep(scheduler), [
      [0, 9, 1],
      [1, 8, 1],
    ]);
    assert.equal(scheduler.counts.numPreemptions, 1);
  });

  it('are evened out, and then stay where they are', () => {
    const scheduler = schedulerOf({ maxNumSeqs: 4, numBlocks: 64 });
    scheduler.add(ids(0, 6).map((id) => sequenceOf({ id, client: 'first' })));
    runStep(scheduler);
    scheduler.add(ids(10, 6).map((id) => sequenceOf({ id, client: 'second' })));
    for (let step = 0; step < 6; step++) runStep(scheduler);

    assert.deepEqual(runningIds(scheduler), [0, 1, 10, 11]);
    assert.equal(scheduler.counts.numPreemptions, 2);
  });

  it('stay with clients that have one each', () => {
    const scheduler = schedulerOf({ maxNumSeqs: 2 });
    scheduler.add([0, 1].map((id) => sequenceOf({ id, client: `client ${id}` })));
    runStep(scheduler);
    scheduler.add([sequenceOf({ id: 10, client: 'third' })]);
    runStep(scheduler);

    assert.deepEqual(runningIds(scheduler), [0, 1]);
  });

  it('stay with a higher priority, and with what the prefix cache could not give back', () => {
    const scheduler = schedulerOf({ maxNumSeqs: 3 });
    scheduler.add([
      sequenceOf({ id: 0, client: 'a', priority: -1 }),
      sequenceOf({ id: 1, client: 'a', priority: -1 }),
      sequenceOf({ id: 2, client: 'a', numPromptLogprobs: 0 }),
    ]);
    runStep(scheduler);
    scheduler.add([sequenceOf({ id: 10, client: 'b' })]);
    runStep(scheduler);

    assert.deepEqual(runningIds(scheduler), [0, 1, 2]);
  });

  it('go over with their blocks where these are missing', () => {
    const scheduler = schedulerOf({ numBlocks: 12 });
    scheduler.add(ids(0, 4).map((id) => sequenceOf({ id, client: 'long', maxTokens: 20 })));
    runStep(scheduler);
    runStep(scheduler);
    assert.equal(scheduler.pool.numFree, 0);

    scheduler.add([sequenceOf({ id: 10, client: 'single', maxTokens: 3 })]);
    runStep(scheduler);

    assert.deepEqual(runningIds(scheduler), [0, 1, 2, 10]);
    while (scheduler.waiting.length + scheduler.running.length > 0) runStep(scheduler);
  });

  it('stay where their blocks would not be enough', () => {
    const scheduler = schedulerOf({ numBlocks: 12 });
    scheduler.add(ids(0, 4).map((id) => sequenceOf({ id, client: 'long' })));
    runStep(scheduler);
    runStep(scheduler);
    scheduler.add([sequenceOf({ id: 10, client: 'large', promptTokenIds: ids(100, 44) })]);
    runStep(scheduler);

    assert.deepEqual(runningIds(scheduler), [0, 1, 2, 3]);
  });

  it('do not go to and fro where each client has one sequence and blocks are missing', () => {
    const scheduler = schedulerOf({ numBlocks: 6, maxNumSeqs: 4 });
    scheduler.add([sequenceOf({ id: 0, client: 'a', promptTokenIds: ids(0, 16), maxTokens: 4 })]);
    runStep(scheduler);
    scheduler.add([
      sequenceOf({ id: 10, client: 'b', promptTokenIds: ids(100, 16), maxTokens: 1 }),
    ]);

    while (scheduler.waiting.length + scheduler.running.length > 0) runStep(scheduler);

    assert.equal(scheduler.counts.numPreemptions, 0);
  });

  it('are looked at although the next step could be foreseen', () => {
    const scheduler = schedulerOf({ maxNumSeqs: 2 });
    scheduler.add(ids(0, 3).map((id) => sequenceOf({ id, client: 'long' })));
    runStep(scheduler);
    scheduler.schedule();
    assert.ok(scheduler.scheduleAhead());
    const other = schedulerOf({ maxNumSeqs: 2 });
    other.add(ids(0, 3).map((id) => sequenceOf({ id, client: 'long' })));
    runStep(other);
    other.schedule();
    other.add([sequenceOf({ id: 10, client: 'single' })]);

    assert.equal(other.scheduleAhead(), null);
  });
});

describe('The prompts of a step', () => {
  const long = (id: number, client: string) =>
    sequenceOf({ id, client, promptTokenIds: ids(id * 1000, 100), maxTokens: 1 });
  const schedulerOfLong = () => schedulerOf({ numBlocks: 200 });

  it('of another client start beside a long one, which gets the rest', () => {
    const scheduler = schedulerOfLong();
    scheduler.add([long(0, 'long')]);
    assert.deepEqual(runStep(scheduler), [[0, 0, 32]]);

    scheduler.add([sequenceOf({ id: 10, client: 'single', maxTokens: 1 })]);

    assert.deepEqual(runStep(scheduler), [
      [0, 32, 24],
      [10, 0, 8],
    ]);
    assert.deepEqual(runStep(scheduler), [[0, 56, 32]]);
  });

  it('have even shares while several are long', () => {
    const scheduler = schedulerOfLong();
    scheduler.add([long(0, 'first')]);
    runStep(scheduler);
    scheduler.add([long(10, 'second')]);

    for (const computed of [0, 16, 32]) {
      assert.deepEqual(runStep(scheduler), [
        [0, 32 + computed, 16],
        [10, computed, 16],
      ]);
    }
  });

  it('leave nothing unused for one that cannot start', () => {
    const scheduler = schedulerOfLong();
    scheduler.add([long(0, 'long')]);
    runStep(scheduler);
    const image = imageAt(0, 4);
    scheduler.add([sequenceOf({ id: 10, client: 'media', placeholders: [image] })]);

    assert.deepEqual(runStep(scheduler), [[0, 32, 32]]);
  });
});

describe('The places of the waiting queue', () => {
  it('refuses more of the client that has them all', () => {
    const scheduler = schedulerOf({ maxNumWaiting: 4 });
    scheduler.add(flood('flood', 4));

    assert.throws(() => scheduler.reserve(ticketOf({ client: 'flood', arrivalMs: 9 }), 1), full);
  });

  it('takes the latest place of the client with most for one that has few', () => {
    const scheduler = schedulerOf({ maxNumWaiting: 4 });
    const waiting = flood('flood', 4);
    scheduler.add(waiting);

    scheduler.reserve(ticketOf({ client: 'single', arrivalMs: 9 }), 1);

    const displaced = waiting.map(({ ticket }) => ticket.displaced);
    assert.deepEqual(
      displaced.map(({ aborted }) => aborted),
      [false, false, false, true],
    );
    assert.throws(() => displaced[3]?.throwIfAborted(), full);
  });

  it('takes places until the shares are even, and no more', () => {
    const scheduler = schedulerOf({ maxNumWaiting: 4 });
    scheduler.add(flood('flood', 4));
    const reserve = () => scheduler.reserve(ticketOf({ client: 'second', arrivalMs: 9 }), 1);

    reserve();
    reserve();

    assert.throws(reserve, full);
  });

  it('takes the places of requests that are still being read', () => {
    const scheduler = schedulerOf({ maxNumWaiting: 2 });
    const read = ticketOf({ client: 'flood' });
    scheduler.reserve(read, 2);

    scheduler.reserve(ticketOf({ client: 'single', arrivalMs: 1 }), 1);

    assert.ok(read.displaced.aborted);
  });

  it('counts every choice of a request, and displaces it whole', () => {
    const scheduler = schedulerOf({ maxNumWaiting: 6 });
    const ticket = ticketOf({ client: 'flood' });
    const choices = ids(0, 4).map((id) => sequenceOf({ id, ticket }));
    scheduler.add(choices);
    scheduler.add(flood('other', 2, 10));

    scheduler.reserve(ticketOf({ client: 'single', arrivalMs: 20 }), 3);

    assert.ok(ticket.displaced.aborted);
  });

  it('displaces nobody for a request that can never fit', () => {
    const scheduler = schedulerOf({ maxNumWaiting: 4 });
    const waiting = flood('flood', 4);
    scheduler.add(waiting);

    assert.throws(() => scheduler.reserve(ticketOf({ client: 'single' }), 5), full);
    assert.ok(waiting.every(({ ticket }) => !ticket.displaced.aborted));
  });

  it('leaves requests that have started their place', () => {
    const scheduler = schedulerOf({ maxNumWaiting: 3, maxNumSeqs: 1 });
    const ticket = ticketOf({ client: 'flood' });
    scheduler.add(ids(0, 3).map((id) => sequenceOf({ id, ticket })));
    runStep(scheduler);

    scheduler.reserve(ticketOf({ client: 'single' }), 1);
    assert.throws(() => scheduler.reserve(ticketOf({ client: 'third' }), 1), full);
    assert.ok(!ticket.displaced.aborted);
  });

  it('keeps text in while requests that wait for media fill their own places', () => {
    const scheduler = schedulerOf({ maxNumWaiting: 2, maxNumWaitingMedia: 2 });
    const images = [0, 1].map((id) =>
      sequenceOf({ id, placeholders: [imageAt(0, 4)], promptTokenIds: ids(0, 8) }),
    );
    scheduler.add(images);
    assert.throws(() => scheduler.reserve(ticketOf({ needsMedia: true }), 1), full);

    scheduler.add(flood('a', 2, 10));

    assert.equal(scheduler.numWaitingForMedia, 2);
    assert.deepEqual(
      runStep(scheduler).map(([id]) => id),
      [10, 11],
    );
  });
});

describe('Scheduler priorities', () => {
  it('lets a higher priority take the place of a waiting lower one', () => {
    const scheduler = schedulerOf({ maxNumWaiting: 2 });
    const waiting = [0, 1].map((id) => sequenceOf({ id, client: 'a', priority: id }));
    scheduler.add(waiting);

    scheduler.reserve(ticketOf({ client: 'a', priority: -1 }), 1);

    assert.deepEqual(
      waiting.map(({ ticket }) => ticket.displaced.aborted),
      [false, true],
    );
  });

  it('lets no lower priority take the place of a higher one', () => {
    const scheduler = schedulerOf({ maxNumWaiting: 2 });
    scheduler.add([0, 1].map((id) => sequenceOf({ id, client: 'a', priority: -1 })));

    assert.throws(() => scheduler.reserve(ticketOf({ client: 'b' }), 1), full);
  });

  it('overtakes a request only with those that arrive within the aging time', () => {
    const scheduler = schedulerOf({ maxNumSeqs: 1, priorityAgingMs: 1000 });
    const request = (id: number, priority: number, arrivalMs: number) =>
      sequenceOf({ id, client: `client ${priority}`, priority, arrivalMs, maxTokens: 1 });
    scheduler.add([request(0, 0, 0)]);
    scheduler.add(ids(1, 6).map((id) => request(id, -1, 300 * id)));

    assert.deepEqual(startOrder(scheduler), [1, 2, 3, 0, 4, 5, 6]);
  });
});
