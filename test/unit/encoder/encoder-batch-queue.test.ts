import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EncoderBatchQueue } from '#encoder/encoder-batch-queue.ts';
import { Quarantine } from '#mesh/process/quarantine.ts';
import { StepWatchdog } from '#mesh/process/step-watchdog.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { refusal } from '#test/refusal.ts';
import { FakeEncoder, grayImage, settled } from './doubles.ts';

/** Time that every batch may take, ms. */
const STEP_LIMIT_MS = 10_000;

const present = new AbortController().signal;

function setUp() {
  const clock = new FakeClock();
  const encoder = new FakeEncoder();
  const sizes: number[] = [];
  const trace: string[] = [];
  const quarantine = new Quarantine({
    journal: { write: (keys) => trace.push(`[${keys.join(' ')}]`) },
    onCleared: (key) => trace.push(`${key} cleared`),
  });
  const deaths: unknown[] = [];
  const queue = new EncoderBatchQueue({
    limits: { maxBatchSize: 2, windowMs: 5 },
    clock,
    quarantine,
    watchdog: new StepWatchdog({ clock, limitMs: STEP_LIMIT_MS }),
    onDeath: (why) => deaths.push(why),
    onBatch: (numItems) => sizes.push(numItems),
  });
  return { clock, encoder, queue, sizes, trace, quarantine, deaths };
}

describe('EncoderBatchQueue', () => {
  it('notes what it encodes while it does', async () => {
    const { encoder, queue, trace } = setUp();

    const items = [1, 2].map((value) => queue.encode(encoder, grayImage(value), present));
    assert.deepEqual(trace, ['[1 2]']);
    await Promise.all(items);
    await settled();

    assert.deepEqual(trace, ['[1 2]', '[]']);
  });

  it('encodes a suspect by itself, and beside others once it is cleared', async () => {
    const { encoder, queue, trace, quarantine, clock } = setUp();
    quarantine.learn([{ key: '2', numDeaths: 1 }]);

    const items = [1, 2, 3].map((value) => queue.encode(encoder, grayImage(value), present));
    clock.advance(5);
    for (const item of items) {
      await item;
      await settled();
      clock.advance(5);
    }
    const again = [1, 2].map((value) => queue.encode(encoder, grayImage(value), present));
    await Promise.all(again);

    assert.deepEqual(trace.slice(0, 6), ['[1]', '[]', '[2]', '[]', '2 cleared', '[3]']);
    assert.equal(trace.at(-1), '[1 2]');
  });

  it('encodes items that arrive within the window together', async () => {
    const { clock, encoder, queue, sizes } = setUp();

    const first = queue.encode(encoder, grayImage(1), present);
    clock.advance(3);
    const second = queue.encode(encoder, grayImage(2), present);

    const [a, b] = await Promise.all([first, second]);
    assert.deepEqual(sizes, [2]);
    assert.deepEqual([a.encoded.rows[0], b.encoded.rows[0]], [1, 2]);
    assert.deepEqual([a.queueUs, b.queueUs], [3000, 0]);
  });

  it('gives the tower no more cells together than it says, and the rest next', async () => {
    const { clock, encoder, queue, sizes } = setUp();
    const numCells = encoder.description.maxBatchCells - 1;

    const items = [1, 2].map((value) =>
      queue.encode(encoder, { ...grayImage(value), grid: { t: 1, h: 1, w: numCells } }, present),
    );
    await settled();
    clock.advance(5);

    assert.equal((await Promise.all(items)).length, 2);
    assert.deepEqual(sizes, [1, 1]);
    assert.deepEqual(encoder.trace, ['encode 1', 'encode 1']);
  });

  it('encodes an item alone when the window passes', async () => {
    const { clock, encoder, queue } = setUp();
    const only = queue.encode(encoder, grayImage(1), present);
    assert.equal(queue.numWaiting, 1);

    clock.advance(5);

    assert.equal((await only).queueUs, 5000);
    assert.deepEqual(encoder.trace, ['encode 1']);
  });

  it('gathers what arrives while a batch runs, and starts it at once after', async () => {
    const { clock, encoder, queue, sizes } = setUp();
    encoder.isHeld = true;
    const items = [1, 2, 3].map((value) => queue.encode(encoder, grayImage(value), present));
    clock.advance(100);
    assert.deepEqual(sizes, [2]);

    encoder.release();
    await settled();

    assert.deepEqual(sizes, [2, 1]);
    encoder.release();
    assert.equal((await Promise.all(items)).length, 3);
  });

  it('takes turns between clients, whatever one has waiting', async () => {
    const { clock, encoder, queue } = setUp();
    encoder.isHeld = true;
    const ended: string[] = [];
    const encode = (value: number, client: string) =>
      queue.encode(encoder, grayImage(value, client), present).then(() => ended.push(client));
    const items = [1, 2, 3, 4, 5, 6].map((value) => encode(value, 'flood'));

    items.push(encode(7, 'single'));
    clock.advance(5);
    for (let batch = 0; batch < 4; batch++) {
      encoder.release();
      await settled();
    }
    await Promise.all(items);

    assert.equal(ended.indexOf('single'), 3);
    assert.deepEqual(encoder.trace, ['encode 2', 'encode 2', 'encode 2', 'encode 1']);
  });

  it('fails one item of a batch and leaves the other untouched', async () => {
    const { encoder, queue } = setUp();
    encoder.isHeld = true;
    const good = queue.encode(encoder, grayImage(1), present);
    const bad = queue.encode(encoder, grayImage(2), present);

    encoder.fail(1, new Error('bad'));
    encoder.release();

    await assert.rejects(bad, /bad/);
    assert.equal((await good).encoded.rows[0], 1);
  });

  it('fails all items of a batch the tower refuses as a whole, and goes on', async () => {
    const { clock, encoder, queue } = setUp();
    const working = encoder.encode.bind(encoder);
    encoder.encode = () => {
      throw new Error('closed');
    };
    const failing = [1, 2].map((value) => queue.encode(encoder, grayImage(value), present));
    for (const outcome of failing) await assert.rejects(outcome, /closed/);

    encoder.encode = working;
    const next = queue.encode(encoder, grayImage(3), present);
    clock.advance(5);

    assert.equal((await next).encoded.rows[0], 3);
  });

  it('lets an item that is aborted while it waits go, and encodes the others', async () => {
    const { clock, encoder, queue } = setUp();
    const caller = new AbortController();
    const leaving = queue.encode(encoder, grayImage(1), caller.signal);
    caller.abort();
    await assert.rejects(leaving, { name: 'AbortError' });
    assert.equal(queue.numWaiting, 0);
    assert.equal(clock.numTimers, 0);

    const staying = queue.encode(encoder, grayImage(2), present);
    clock.advance(5);

    assert.equal((await staying).encoded.rows[0], 2);
    assert.deepEqual(encoder.trace, ['encode 1']);
  });

  it('fails its items, and all later ones, when the tower stands still', async () => {
    const { clock, encoder, queue, trace, deaths } = setUp();
    const known = queue.encode(encoder, grayImage(1), present);
    clock.advance(5);
    await known;
    await settled();
    encoder.isHeld = true;
    const items = [1, 2, 3].map((value) => queue.encode(encoder, grayImage(value), present));
    const outcomes = Promise.allSettled(items);

    clock.advance(STEP_LIMIT_MS - 1);
    await settled();
    assert.deepEqual(deaths, []);
    clock.advance(1);

    for (const outcome of await outcomes) {
      assert(outcome.status === 'rejected');
      refusal('ENGINE_DEAD', /has not ended for 10 s/)(outcome.reason);
    }
    assert.equal(deaths.length, 1);
    await assert.rejects(queue.encode(encoder, grayImage(4), present), refusal('ENGINE_DEAD'));
    assert.equal(trace.at(-1), '[1 2]');
  });

  it('hands the signal of a running item to the tower', async () => {
    const { clock, encoder, queue } = setUp();
    encoder.isHeld = true;
    const caller = new AbortController();
    const item = queue.encode(encoder, grayImage(1), caller.signal);
    clock.advance(5);

    caller.abort();

    await assert.rejects(item, /stopped/);
    assert.deepEqual(encoder.trace, ['encode 1', 'abort']);
  });
});
