import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it, mock } from 'node:test';
import { InFlight } from '#gateway/http/in-flight.ts';
import { MeshError } from '#mesh/errors.ts';
import { refusal } from '#test/refusal.ts';

const OPTIONS = { maxRequests: 2, timeoutMs: 1000 };

function reasonOf(signal: AbortSignal): string | undefined {
  const reason: unknown = signal.reason;
  return reason instanceof MeshError ? reason.reason : undefined;
}

/** Returns a response whose client has gone. */
async function closedResponse(response = new PassThrough()): Promise<PassThrough> {
  const closed = new Promise((resolve) => response.once('close', resolve));
  response.destroy();
  await closed;
  return response;
}

describe('InFlight', () => {
  it('counts the requests it admitted and frees their places', () => {
    const inFlight = new InFlight(OPTIONS);
    const first = inFlight.admit(new PassThrough(), 'one');
    const second = inFlight.admit(new PassThrough(), 'one');
    assert.equal(inFlight.count, 2);
    assert.throws(() => inFlight.admit(new PassThrough(), 'one'), { reason: 'QUEUE_FULL' });

    first.end();

    assert.equal(inFlight.count, 1);
    const third = inFlight.admit(new PassThrough(), 'one');
    for (const flight of [second, third]) flight.end();
    assert.equal(inFlight.count, 0);
  });

  it('keeps its last places for clients that have few requests', () => {
    const inFlight = new InFlight({ ...OPTIONS, maxRequests: 16 });
    const flood = Array.from({ length: 14 }, () => inFlight.admit(new PassThrough(), 'one'));

    assert.throws(
      () => inFlight.admit(new PassThrough(), 'one'),
      refusal('QUEUE_FULL', /14 requests of yours are in flight, and its last 2 places of 16/),
    );
    const others = ['two', 'two'].map((client) => inFlight.admit(new PassThrough(), client));

    for (const flight of [...flood, ...others]) flight.end();
    inFlight.admit(new PassThrough(), 'one').end();
    assert.equal(inFlight.count, 0);
  });

  it('aborts the request of a client that goes', async () => {
    const inFlight = new InFlight(OPTIONS);
    const response = new PassThrough();
    const flight = inFlight.admit(response, 'one');

    await closedResponse(response);

    assert.equal(reasonOf(flight.signal), 'CANCELLED');
    flight.end();
  });

  it('aborts the request of a client that has already gone', async () => {
    const inFlight = new InFlight(OPTIONS);

    const flight = inFlight.admit(await closedResponse(), 'one');

    assert.equal(reasonOf(flight.signal), 'CANCELLED');
    flight.end();
  });

  it('aborts nothing after the end', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const inFlight = new InFlight(OPTIONS);
    const response = new PassThrough();
    const flight = inFlight.admit(response, 'one');

    flight.end();
    mock.timers.tick(OPTIONS.timeoutMs);
    await closedResponse(response);

    assert.equal(flight.signal.aborted, false);
    mock.timers.reset();
  });

  it('aborts a request at its deadline', () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const inFlight = new InFlight(OPTIONS);
    const flight = inFlight.admit(new PassThrough(), 'one');

    mock.timers.tick(OPTIONS.timeoutMs - 1);
    assert.equal(flight.signal.aborted, false);
    mock.timers.tick(1);

    assert.equal(reasonOf(flight.signal), 'DEADLINE_EXCEEDED');
    flight.end();
    mock.timers.reset();
  });

  it('drains at once when idle', async () => {
    const inFlight = new InFlight(OPTIONS);

    await inFlight.drain(60_000);

    assert.equal(inFlight.isDraining, true);
    assert.throws(() => inFlight.admit(new PassThrough(), 'one'), { reason: 'DRAINING' });
  });

  it('waits for what runs, then ends it past the limit', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const inFlight = new InFlight({ ...OPTIONS, timeoutMs: 100_000 });
    const flight = inFlight.admit(new PassThrough(), 'one');

    const drained = inFlight.drain(5000);
    mock.timers.tick(4999);
    assert.equal(flight.signal.aborted, false);
    mock.timers.tick(1);

    assert.equal(reasonOf(flight.signal), 'DRAINING');
    flight.end();
    await drained;
    mock.timers.reset();
  });
});
