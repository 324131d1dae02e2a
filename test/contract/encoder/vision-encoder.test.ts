import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { encodeItem, type OutgoingItem } from '#mesh/encode/encoder-call.ts';
import { EngineError } from '#native';
import { FakeClock } from '#test/fake-clock.ts';
import { refusal } from '#test/refusal.ts';
import { HIDDEN_SIZE, settled, until } from '#test/unit/encoder/doubles.ts';
import { firstOf, HeldContent, pngOf, startVision } from './harness.ts';

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

describe('a vision encoder', () => {
  it('answers with a plan, rows in order and done', async (test) => {
    const { encode } = await startVision(test);
    const png = await pngOf(7);

    const answer = await encode({ header: {}, content: png });

    assert.deepEqual(
      answer.events.map(({ kind }) => kind),
      ['plan', 'rows', 'done'],
    );
    assert.equal(answer.numRows, 4);
    assert.deepEqual(answer.values, [7]);
    assert.deepEqual(answer.contentHash, sha256(png));
    const done = answer.events.at(-1);
    assert.ok(done?.kind === 'done' && done.done.encodeUs === 300n);
    assert.equal(done.done.preprocessUs, 20n);
    assert.ok(done.done.decodeUs > 0n);
  });

  it('sends the plan before the tower has run', async (test) => {
    const { client, tower } = await startVision(test);
    tower.isHeld = true;
    const { signal } = new AbortController();
    const options = { hiddenSize: HIDDEN_SIZE, signal };

    const events = encodeItem(client, { header: {}, content: await pngOf(7) }, options);
    const plan = await firstOf(events, 'plan');
    await until(() => tower.trace.length > 0);
    tower.release();

    assert.ok(plan.kind === 'plan' && plan.plan.numRows === 4);
    assert.deepEqual(plan.plan.grid, { t: 1, h: 16, w: 16 });
    assert.equal((await firstOf(events, 'done')).kind, 'done');
  });

  it('cuts many rows into messages of 256 KiB', async (test) => {
    const { encode } = await startVision(test);

    const answer = await encode({
      header: {},
      content: await pngOf(9, { width: 2048, height: 2048 }),
    });

    assert.equal(answer.numRows, 65_536);
    assert.deepEqual(answer.values, Array(8).fill(9));
  });

  it('refuses what is not an image, a truncated one and an empty one', async (test) => {
    const { encode } = await startVision(test);
    const png = await pngOf(1);

    const send = (content: Uint8Array) => encode({ header: {}, content });

    await assert.rejects(send(Buffer.from('hello')), refusal('UNSUPPORTED_MEDIA', /not a PNG/));
    await assert.rejects(
      send(png.subarray(0, 60)),
      refusal('UNSUPPORTED_MEDIA', /cannot be decoded/),
    );
    await assert.rejects(send(Buffer.alloc(0)), refusal('UNSUPPORTED_MEDIA', /empty/));
  });

  it('refuses an image with more pixels than allowed', async (test) => {
    const { encode } = await startVision(test, { options: { maxImagePixels: 255 } });

    const call = encode({ header: {}, content: await pngOf(1) });

    await assert.rejects(call, refusal('PAYLOAD_TOO_LARGE', /16×16 = 256 pixels, at most 255/));
  });

  it('passes on what the tower refuses', async (test) => {
    const { encode } = await startVision(test);

    const call = encode({ header: {}, content: await pngOf(1, { width: 1005, height: 5 }) });

    await assert.rejects(call, refusal('INVALID_REQUEST', /1005×5 exceeds 200:1/));
  });

  it('refuses bytes that do not have the declared hash or size', async (test) => {
    const { encode } = await startVision(test);
    const content = await pngOf(1);

    const send = (header: OutgoingItem['header']) => encode({ header, content });

    await assert.rejects(
      send({ contentHash: sha256(Buffer.from('other')) }),
      refusal('INVALID_REQUEST', /content_hash is [0-9a-f]{64}, the bytes/),
    );
    await assert.rejects(
      send({ contentHash: Buffer.alloc(5) }),
      refusal('INVALID_REQUEST', /32 bytes or none, got 5/),
    );
    await assert.rejects(
      send({ sizeBytes: 3n }),
      refusal('INVALID_REQUEST', /size_bytes says 3 bytes/),
    );
  });

  it('refuses an item that is too large, by its header or as it arrives', async (test) => {
    const { encode } = await startVision(test, { options: { maxItemMb: 0.28 } });
    const content = Buffer.alloc(300_000);

    const send = (header: OutgoingItem['header']) => encode({ header, content });
    const tooLong = /300000 bytes, at most 280000/;

    await assert.rejects(send({ sizeBytes: 300_000n }), refusal('PAYLOAD_TOO_LARGE', tooLong));
    await assert.rejects(send({}), refusal('PAYLOAD_TOO_LARGE', tooLong));
  });

  it('refuses a call that breaks the order of messages or the size of chunks', async (test) => {
    const { client } = await startVision(test);
    const header = { $case: 'header', value: {} } as const;
    const chunk = (bytes: number) => ({ $case: 'chunk', value: Buffer.alloc(bytes) }) as const;
    async function call(...events: (typeof header | ReturnType<typeof chunk> | undefined)[]) {
      async function* requests() {
        for (const event of events) yield event === undefined ? {} : { event };
      }
      for await (const response of client.encode(requests()))
        assert.fail(`${response.event?.$case}`);
    }

    await assert.rejects(call(), refusal('INVALID_REQUEST', /starts with a header, got the end/));
    await assert.rejects(
      call(chunk(3)),
      refusal('INVALID_REQUEST', /starts with a header, got chunk/),
    );
    await assert.rejects(call(undefined), refusal('INVALID_REQUEST', /got an empty message/));
    await assert.rejects(
      call(header, header),
      refusal('INVALID_REQUEST', /only chunks may come, got header/),
    );
    await assert.rejects(
      call(header, chunk(262_145)),
      refusal('INVALID_REQUEST', /a chunk has 262145 bytes, at most 262144/),
    );
  });

  it('refuses a caller whose checkpoint is another, and names both', async (test) => {
    const { client, encode } = await startVision(test);
    const { fingerprint } = await client.getModel({});

    const content = await pngOf(1);
    const send = (expectedFingerprint: string) =>
      encode({ header: { expectedFingerprint }, content });

    await assert.rejects(
      send('abc'),
      refusal(
        'MODEL_NOT_FOUND',
        new RegExp(`weights ${fingerprint}; the caller expects weights abc`),
      ),
    );
    assert.equal((await send(fingerprint)).numRows, 4);
  });

  it('refuses more items than it holds, and takes the next when one has left', async (test) => {
    const { encode, tower } = await startVision(test, { options: { maxQueue: 1 } });
    tower.isHeld = true;
    const first = encode({ header: {}, content: await pngOf(1) });
    await until(() => tower.trace.length === 1);

    const second = encode({ header: {}, content: await pngOf(2) });
    await assert.rejects(
      second,
      refusal('QUEUE_FULL', /1 items are being encoded or wait, at most 1 may/),
    );
    tower.release();
    await first;
    tower.isHeld = false;

    assert.deepEqual((await encode({ header: {}, content: await pngOf(2) })).values, [2]);
  });

  it('stops the tower when the caller leaves, and frees the place', async (test) => {
    const { encode, tower } = await startVision(test, { options: { maxQueue: 1 } });
    tower.isHeld = true;
    const caller = new AbortController();
    const call = encode({ header: {}, content: await pngOf(1) }, caller.signal);
    await until(() => tower.trace.length === 1);

    caller.abort();
    await assert.rejects(call, { name: 'AbortError' });
    await until(() => tower.trace.includes('abort'));
    tower.isHeld = false;
    await settled();

    assert.equal((await encode({ header: {}, content: await pngOf(1) })).cacheHit, false);
  });

  it('forgets an upload whose caller leaves', async (test) => {
    const { client, encode, tower } = await startVision(test, { options: { maxQueue: 1 } });
    const caller = new AbortController();
    const content = new HeldContent();
    content.push(Buffer.alloc(10));
    const call = encode({ header: {}, content }, caller.signal);
    const isFull = () =>
      encode({ header: {}, content: Buffer.alloc(1) }).then(
        () => false,
        (error: Error) => error.message.includes('at most 1'),
      );
    while (!(await isFull())) await settled();

    caller.abort();
    await assert.rejects(call, { name: 'AbortError' });
    while (await isFull()) await settled();

    assert.deepEqual(tower.trace, []);
    assert.equal((await client.getModel({})).hiddenSize, HIDDEN_SIZE);
    content.end();
  });

  it('gives the place of an upload that stands still to an item that wants it', async (test) => {
    const clock = new FakeClock();
    const { encode } = await startVision(test, { options: { maxQueue: 1 }, clock });
    const content = new HeldContent();
    content.push(Buffer.alloc(10));
    const still = encode({ header: {}, content });
    const refused = assert.rejects(still, refusal('QUEUE_FULL', /given away.* for 3 s/));
    const other = async () => encode({ header: {}, content: await pngOf(2) });
    const outcome = () => other().catch((error: Error) => error.message);
    while (!String(await outcome()).includes('at most 1')) await settled();

    clock.advance(3000);

    assert.deepEqual((await other()).values, [2]);
    await refused;
    content.end();
  });

  it('fails one item of a batch and leaves the others untouched', async (test) => {
    const { encode, tower } = await startVision(test, {
      options: { batchWindowMs: 10_000, maxBatchSize: 3 },
    });
    tower.isHeld = true;
    const images = await Promise.all([1, 2, 3].map((gray) => pngOf(gray)));
    const calls = images.map((content) => encode({ header: {}, content }));
    const settling = Promise.allSettled(calls);
    await until(() => tower.trace.includes('encode 3'));

    tower.fail(1, new EngineError('ENGINE_FAILED', 'numbers went wrong'));
    tower.release();
    const outcomes = await settling;

    const failures = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [Promise.reject(outcome.reason)] : [],
    );
    assert.equal(failures.length, 1);
    await assert.rejects(Promise.all(failures), refusal('ENGINE_FAILED', /numbers went wrong/));
  });
});
