import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { pino } from 'pino';
import { listenWhenFree } from '#mesh/listen-when-free.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { Lines } from '#test/lines.ts';

/** A port that is in use for the first `numRefusals` attempts. */
class Port {
  numAttempts = 0;
  numRefusals: number;
  error: Error = Object.assign(new Error('in use'), { code: 'EADDRINUSE' });

  constructor(numRefusals: number) {
    this.numRefusals = numRefusals;
  }

  readonly listen = async (): Promise<string> => {
    this.numAttempts++;
    if (this.numAttempts <= this.numRefusals) throw this.error;
    return 'listening';
  };
}

function waiting(port: Port, limitMs = 1000) {
  const clock = new FakeClock();
  const stream = new PassThrough();
  const abort = new AbortController();
  const log = pino(stream);
  const wait = { address: 'host:1', log, limitMs, clock, signal: abort.signal };
  const outcome = listenWhenFree(port.listen, wait);
  return { clock, abort, stream, lines: new Lines(stream), outcome };
}

describe('listenWhenFree', () => {
  it('listens at once where it can, without a word', async () => {
    const port = new Port(0);
    const { outcome, stream } = waiting(port);

    assert.equal(await outcome, 'listening');
    assert.equal(port.numAttempts, 1);
    assert.equal(stream.readableLength, 0);
  });

  it('waits for a port in use and says so once', async () => {
    const port = new Port(3);
    const { clock, lines, stream, outcome } = waiting(port);
    await lines.match(/host:1 is in use; waiting at most 1 s for it/);

    for (let i = 0; i < 3; i++) {
      clock.advance(100);
      await setImmediate();
    }

    assert.equal(await outcome, 'listening');
    assert.equal(port.numAttempts, 4);
    stream.end();
    await lines.ended;
    assert.equal(lines.seen.length, 1);
  });

  it('gives up after its time with the last error', async () => {
    const port = new Port(Infinity);
    const { clock, lines, outcome } = waiting(port);
    await lines.match(/waiting/);

    clock.advance(1000);

    await assert.rejects(outcome, { code: 'EADDRINUSE' });
    assert.equal(port.numAttempts, 2);
  });

  it('knows a port in use by the text of a library that joins errors', async () => {
    const port = new Port(1);
    port.error = new Error('No address added errors: [listen EADDRINUSE: address in use ::1:1]');
    const { clock, lines, outcome } = waiting(port);
    await lines.match(/waiting/);

    clock.advance(100);

    assert.equal(await outcome, 'listening');
  });

  it('does not wait for what time does not mend', async () => {
    const port = new Port(Infinity);
    port.error = Object.assign(new Error('not ours'), { code: 'EACCES' });

    await assert.rejects(waiting(port).outcome, { code: 'EACCES' });
    assert.equal(port.numAttempts, 1);
  });

  it('ends at once when it is aborted', async () => {
    const port = new Port(Infinity);
    const { abort, clock, lines, outcome } = waiting(port);
    await lines.match(/waiting/);

    abort.abort();

    await assert.rejects(outcome, { name: 'AbortError' });
    assert.equal(clock.numTimers, 0);
    assert.equal(port.numAttempts, 1);
  });
});
