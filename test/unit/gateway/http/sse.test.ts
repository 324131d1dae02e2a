import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, it, mock } from 'node:test';
import { SseStream } from '#gateway/http/sse.ts';
import { refusal } from '#test/refusal.ts';

const OPTIONS = { heartbeatMs: 1000, stallMs: 5000, signal: new AbortController().signal };

/** An output whose reader takes a chunk only when told to. */
class SlowOutput extends Writable {
  readonly taken: string[] = [];
  #take: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 8, decodeStrings: false });
  }

  override _write(chunk: unknown, _encoding: BufferEncoding, done: () => void): void {
    this.#take = () => {
      this.taken.push(String(chunk));
      done();
    };
  }

  take(): void {
    this.#take?.();
  }
}

function openStream() {
  const output = new SlowOutput();
  let numOpened = 0;
  const open = () => {
    numOpened += 1;
    return output;
  };
  const stream = new SseStream(open, OPTIONS);
  return { output, stream, numOpened: () => numOpened };
}

describe('SseStream', () => {
  it('opens with its first write, once', () => {
    const { stream, numOpened } = openStream();
    assert.equal(stream.isOpen, false);

    const waits = [stream.write('a'), stream.write('b')];

    assert.deepEqual(waits, [undefined, undefined]);
    assert.equal(stream.isOpen, true);
    assert.equal(numOpened(), 1);
    stream.close();
  });

  it('asks to wait only while the reader is behind', async () => {
    const { output, stream } = openStream();

    const first = stream.write('a');
    const second = stream.write('more than eight');
    output.take();
    output.take();

    assert.equal(first, undefined);
    await second;
    assert.deepEqual(output.taken, ['a', 'more than eight']);
    assert.equal(stream.write('c'), undefined);
    stream.close();
  });

  it('lets several writers wait for the same reader', async () => {
    const { output, stream } = openStream();

    const first = stream.write('more than eight');
    const second = stream.write('b');
    output.take();
    output.take();

    await first;
    await second;
    stream.close();
  });

  it('writes a comment line after silence, and opens with it', () => {
    mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
    const { output, stream } = openStream();

    mock.timers.tick(1000);
    output.take();
    assert.equal(stream.write('data'), undefined);
    output.take();
    mock.timers.tick(1000);
    mock.timers.tick(1000);
    output.take();

    assert.deepEqual(output.taken, [': keep-alive\n\n', 'data', ': keep-alive\n\n']);
    stream.close();
    mock.timers.reset();
  });

  it('writes no comment line to a reader that is behind, nor after its close', () => {
    mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
    const { output, stream } = openStream();

    stream.write('more than eight')?.catch(() => {});
    mock.timers.tick(3000);
    stream.close();
    output.take();
    mock.timers.tick(3000);

    assert.deepEqual(output.taken, ['more than eight']);
    mock.timers.reset();
  });

  it('cuts off a reader that takes nothing for too long', async () => {
    mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
    const { output, stream } = openStream();

    const wait = stream.write('more than eight');
    mock.timers.tick(5000);

    await assert.rejects(async () => wait, refusal('CANCELLED'));
    assert.equal(output.destroyed, true);
    stream.close();
    mock.timers.reset();
  });

  it('survives a write that fails', async () => {
    const { output, stream } = openStream();
    const wait = stream.write('more than eight');

    output.destroy(new Error('broken pipe'));

    await assert.rejects(async () => wait, /client has gone/);
    stream.close();
  });

  it('stops waiting for a reader that has gone', async () => {
    const { output, stream } = openStream();
    const wait = stream.write('more than eight');

    output.destroy();

    await assert.rejects(async () => wait, /client has gone/);
    await assert.rejects(async () => stream.write('more than eight'), /client has gone/);
    stream.end('late');
  });
});
