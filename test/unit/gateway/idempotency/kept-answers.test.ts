import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type AnswerRun,
  KeptAnswers,
  type KeyedRequest,
  type KeyOutcome,
} from '#gateway/idempotency/kept-answers.ts';
import { MeshError } from '#mesh/errors.ts';
import { within } from '#test/bounded.ts';
import { FakeClock } from '#test/fake-clock.ts';

const GONE = new MeshError('CANCELLED', 'the client has gone');
const NEVER = new AbortController().signal;

function keptAnswers(limits: { maxBytes?: number; ttlMs?: number; graceMs?: number } = {}) {
  const clock = new FakeClock();
  const outcomes: KeyOutcome[] = [];
  const kept = new KeptAnswers({
    maxBytes: 1_000_000,
    ttlMs: 600_000,
    graceMs: 5000,
    ...limits,
    clock,
    onOutcome: (outcome) => outcomes.push(outcome),
  });
  return { kept, clock, outcomes };
}

function requestOf(values: Partial<KeyedRequest> = {}): KeyedRequest {
  return { client: 'one', key: 'k', hash: 'h', requestId: 'first', hold: () => {}, ...values };
}

/** A run that a test plays by hand; `started` counts how often one was begun. */
function scriptedRun() {
  const runs: AnswerRun[] = [];
  let finish = (_last: string) => {};
  let fail = (_error: unknown) => {};
  const promise = new Promise<string>((resolve, reject) => {
    finish = resolve;
    fail = reject;
  });
  const start = (run: AnswerRun) => {
    runs.push(run);
    run.signal.addEventListener('abort', () => fail(run.signal.reason));
    return promise;
  };
  return { runs, start, finish };
}

/** Reads an answer to its end. */
async function readAll(seat: ReturnType<KeptAnswers['join']>) {
  const frames: string[] = [];
  const send = (frame: string) => void frames.push(frame);
  const label = () => assert.fail('the model answers itself');
  const last = await within(seat.record.read({ send, label }, NEVER), {
    what: 'the end of an answer',
  });
  return { frames, last };
}

const never = () => assert.fail('the answer is known');
/** Lets the end of a run be seen. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('KeptAnswers', () => {
  it('runs one request, and gives all frames from the first to one that joins it', async () => {
    const { kept, outcomes } = keptAnswers();
    const { runs, start, finish } = scriptedRun();
    const first = kept.join(requestOf(), start);
    void runs[0]?.send('a');
    const second = kept.join(requestOf({ requestId: 'second' }), never);
    const both = Promise.all([readAll(first), readAll(second)]);
    void runs[0]?.send('b');
    finish('end');

    for (const { frames, last } of await both) {
      assert.equal(frames.join(''), 'ab');
      assert.equal(last, 'end');
    }
    assert.equal(first.originalRequestId, undefined);
    assert.equal(second.originalRequestId, 'first');
    assert.deepEqual(outcomes, ['started', 'joined']);
  });

  it('gives the answer of a finished request until its time is over', async () => {
    const { kept, clock, outcomes } = keptAnswers();
    const { runs, start, finish } = scriptedRun();
    const first = kept.join(requestOf(), start);
    void runs[0]?.send('a');
    finish('end');
    await readAll(first);
    first.leave(undefined);
    await settled();

    clock.advance(599_999);
    assert.deepEqual(await readAll(kept.join(requestOf(), never)), { frames: ['a'], last: 'end' });
    clock.advance(1);
    assert.equal(kept.count, 0);
    assert.equal(kept.numBytes, 0);
    kept.join(requestOf(), async () => 'other');
    assert.deepEqual(outcomes, ['started', 'replayed', 'started']);
  });

  it('refuses another request under the key of one', () => {
    const { kept, outcomes } = keptAnswers();
    kept.join(requestOf(), scriptedRun().start);

    assert.throws(() => kept.join(requestOf({ hash: 'other' }), never), {
      reason: 'IDEMPOTENCY_KEY_REUSED',
    });
    assert.deepEqual(outcomes, ['started', 'mismatched']);
  });

  it('never gives an answer to another client', () => {
    const { kept, outcomes } = keptAnswers();
    kept.join(requestOf(), scriptedRun().start);
    kept.join(requestOf({ client: 'two' }), scriptedRun().start);

    assert.deepEqual(outcomes, ['started', 'started']);
  });

  const failures: readonly (readonly [MeshError['reason'], boolean])[] = [
    ['INVALID_REQUEST', true],
    ['UNSUPPORTED_MEDIA', true],
    ['QUEUE_FULL', false],
    ['NO_READY_ENDPOINT', false],
    ['ENGINE_FAILED', false],
    ['DEADLINE_EXCEEDED', false],
  ];
  for (const [reason, isKept] of failures) {
    it(`${isKept ? 'keeps' : 'forgets'} a failure with ${reason}`, async () => {
      const { kept } = keptAnswers();
      const seat = kept.join(requestOf(), async () => {
        throw new MeshError(reason, 'it failed');
      });

      await assert.rejects(readAll(seat), { reason });
      assert.equal(kept.count, isKept ? 1 : 0);
    });
  }

  it('runs on for a while when its client has gone, for one that comes back', async () => {
    const { kept, clock } = keptAnswers();
    const { runs, start, finish } = scriptedRun();
    kept.join(requestOf(), start).leave(GONE);
    clock.advance(4999);
    const second = kept.join(requestOf(), never);
    clock.advance(60_000);

    assert.equal(runs[0]?.signal.aborted, false);
    finish('end');
    assert.equal((await readAll(second)).last, 'end');
  });

  it('ends the run when no client has come back', async () => {
    const { kept, clock } = keptAnswers();
    const { runs, start } = scriptedRun();
    kept.join(requestOf(), start).leave(GONE);

    clock.advance(5000);
    assert.equal(runs[0]?.signal.reason, GONE);
    assert.equal(kept.count, 0);
    await settled();
    assert.equal(clock.numTimers, 0);
  });

  it('does not end a run that another request waits for', () => {
    const { kept, clock } = keptAnswers();
    const { runs, start } = scriptedRun();
    const first = kept.join(requestOf(), start);
    kept.join(requestOf(), never);
    first.leave(GONE);

    clock.advance(60_000);
    assert.equal(runs[0]?.signal.aborted, false);
  });

  it('ends the run at once when its only request is over its deadline', () => {
    const { kept } = keptAnswers();
    const { runs, start } = scriptedRun();
    const late = new MeshError('DEADLINE_EXCEEDED', 'late');
    kept.join(requestOf(), start).leave(late);

    assert.equal(runs[0]?.signal.reason, late);
  });

  it('counts loaded bytes for a request that still waits', () => {
    const { kept } = keptAnswers();
    const { runs, start } = scriptedRun();
    const held: string[] = [];
    const first = kept.join(requestOf({ hold: () => void held.push('first') }), start);
    kept.join(requestOf({ hold: () => void held.push('second') }), never);

    runs[0]?.hold(1);
    first.leave(GONE);
    runs[0]?.hold(1);
    assert.deepEqual(held, ['first', 'second']);
  });

  it('forgets the oldest answers when there are too many bytes', async () => {
    const { kept } = keptAnswers({ maxBytes: 10_000 });
    for (const key of ['a', 'b', 'c']) {
      const seat = kept.join(requestOf({ key, client: key }), async () => 'x'.repeat(3000));
      await readAll(seat);
      seat.leave(undefined);
      await settled();
    }

    assert.equal(kept.count, 2);
    assert(kept.numBytes <= kept.maxBytes);
    const outcome = kept.join(requestOf({ key: 'a', client: 'a' }), async () => 'again');
    assert.equal((await readAll(outcome)).last, 'again');
  });

  it('lets one client have half of the bytes', async () => {
    const { kept } = keptAnswers({ maxBytes: 10_000 });
    const clients = [
      'small',
      'large',
      'large',
      'large',
      'large',
      'large',
      'large',
      'large',
      'large',
    ];
    for (const [index, client] of clients.entries()) {
      const seat = kept.join(requestOf({ key: `${index}`, client }), async () => 'x'.repeat(1000));
      await readAll(seat);
      seat.leave(undefined);
      await settled();
    }

    const small = kept.join(requestOf({ key: '0', client: 'small' }), never);
    assert.equal((await readAll(small)).last.length, 1000);
  });

  it('lets a run that is too large wait for its reader, and ends it with its client', async () => {
    const { kept } = keptAnswers({ maxBytes: 2000 });
    const { runs, start } = scriptedRun();
    const seat = kept.join(requestOf(), start);
    const waits = runs[0]?.send('x'.repeat(3000));

    assert(waits instanceof Promise);
    assert.equal(kept.count, 0);
    assert.equal(kept.numBytes, 0);
    const reading = seat.record
      .read({ send: () => undefined, label: never }, NEVER)
      .catch((error: unknown) => error);
    await within(waits, { what: 'the reader' });
    seat.leave(GONE);
    assert.equal(runs[0]?.signal.aborted, true);
    await reading;
  });

  it('ends what nobody waits for when it is closed', () => {
    const { kept, clock } = keptAnswers();
    const { runs, start } = scriptedRun();
    kept.join(requestOf(), start).leave(GONE);
    kept.close();

    assert.equal(runs[0]?.signal.aborted, true);
    assert.equal(clock.numTimers, 0);
  });
});
