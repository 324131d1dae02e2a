import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { describe, it, type TestContext } from 'node:test';
import { pino } from 'pino';
import { RowReader } from '#backbone/media/row-reader.ts';
import { codePath } from '#deploy/local/code-path.ts';
import { openRowSharing } from '#encoder/row-sharing.ts';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import {
  type EncoderStub,
  encodeItem,
  type ReceivedRows,
  UnreadableRowsError,
} from '#mesh/encode/encoder-call.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { resolveOptions } from '#mesh/options.ts';
import { refusal } from '#test/refusal.ts';
import { settled } from '#test/unit/encoder/doubles.ts';
import { visionEncoderOptions } from '#vision/options.ts';
import { metricsOf } from './encoder-metrics.ts';
import { modelDirectory, pngOf, type RunningEncoder, startVision } from './harness.ts';

const SILENT = pino({ level: 'silent' });

/** Opens what an encoder process of these options shares by. */
function sharingOf(values: object = {}) {
  const options = resolveOptions(visionEncoderOptions, { model: 'x', ...values }, {});
  const sharing = openRowSharing(options, SILENT);
  assert.ok(sharing !== undefined);
  return sharing;
}

async function readerOf(client: EncoderStub): Promise<RowReader> {
  const { sharedMemory } = await client.getModel({});
  assert.ok(sharedMemory !== undefined, 'the encoder shares its memory');
  return new RowReader(sharedMemory);
}

function transports(rows: readonly ReceivedRows[]): readonly string[] {
  return rows.map(({ transport }) => transport);
}

describe('an encoder that shares its rows', () => {
  it('gives the same rows by shared memory, from its cache too, and in messages', async (test) => {
    const vision = await startVision(test, { sharing: sharingOf() });
    const sharing = await readerOf(vision.client);
    const content = await pngOf(7);

    const messages = await vision.encode({ header: {}, content });
    const cached = await vision.encode({ header: {}, content }, undefined, sharing);
    const other = await pngOf(8);
    const fresh = await vision.encode({ header: {}, content: other }, undefined, sharing);

    assert.deepEqual(transports(messages.rows), ['message']);
    assert.deepEqual(transports(cached.rows), ['shared_memory']);
    assert.deepEqual(transports(fresh.rows), ['shared_memory']);
    assert.deepEqual(cached.rows[0]?.data, messages.rows[0]?.data);
    assert.deepEqual([messages.values, cached.values, fresh.values], [[7], [7], [8]]);
    assert.deepEqual([cached.cacheHit, fresh.cacheHit], [true, false]);
    const metric = await metricsOf(vision, test);
    const bytes = messages.rows[0]?.data.length ?? 0;
    assert.equal(metric('encoder_row_bytes', { transport: 'message' }), bytes);
    assert.equal(metric('encoder_row_bytes', { transport: 'shared_memory' }), 2 * bytes);
    assert.ok(Number(metric('encoder_shared_memory_bytes')) >= 2 * bytes);
    assert.equal(metric('encoder_items_running'), 0);
  });

  it('answers a hash that it knows without the rest of the item', async (test) => {
    const vision = await startVision(test, { sharing: sharingOf() });
    const sharing = await readerOf(vision.client);
    const { contentHash } = await vision.encode({ header: {}, content: await pngOf(7) });
    async function* endless() {
      for (;;) {
        await settled();
        yield new Uint8Array(1000);
      }
    }

    const item = { header: { contentHash }, content: endless() };
    const answer = await vision.encode(item, undefined, sharing);

    assert.deepEqual(transports(answer.rows), ['shared_memory']);
  });

  it('sends rows in messages to a caller without the secret', async (test) => {
    const vision = await startVision(test, { sharing: sharingOf() });
    const reader = await readerOf(vision.client);
    const guessing = { secret: Buffer.alloc(32), map: reader.map };

    const answer = await vision.encode(
      { header: {}, content: await pngOf(7) },
      undefined,
      guessing,
    );

    assert.deepEqual(transports(answer.rows), ['message']);
  });

  it('sends rows in messages if they are not in shared memory', async (test) => {
    const vision = await startVision(test, { sharing: sharingOf() });
    vision.tower.isSharing = false;
    const sharing = await readerOf(vision.client);

    const answer = await vision.encode({ header: {}, content: await pngOf(7) }, undefined, sharing);

    assert.deepEqual(transports(answer.rows), ['message']);
  });

  it('offers nothing if sharing is turned off', async (test) => {
    const options = resolveOptions(visionEncoderOptions, { model: 'x', sharedMemory: 'off' }, {});
    const vision = await startVision(test, { sharing: openRowSharing(options, SILENT) });

    const { sharedMemory } = await vision.client.getModel({});

    assert.equal(sharedMemory, undefined);
  });

  it('ends the call of a caller that cannot map the rows, who says why', async (test) => {
    const vision = await startVision(test, { sharing: sharingOf() });
    const { secret } = await readerOf(vision.client);
    const map = () => {
      throw new Error('too many open files');
    };

    const call = vision.encode({ header: {}, content: await pngOf(7) }, undefined, { secret, map });

    await assert.rejects(call, UnreadableRowsError);
    await assert.rejects(call, refusal('ENGINE_FAILED', /cannot be mapped: too many open files/));
    await drained(vision, test);
  });
});

/** Waits until no call holds an item, which ends when its caller is gone. */
async function drained(vision: RunningEncoder, test: TestContext): Promise<void> {
  const metric = async () => (await metricsOf(vision, test))('encoder_items_running');
  while ((await metric()) !== 0) await settled();
}

describe('rows shared between two processes', () => {
  it('outlive the encoder that is killed, and leave no file', async (test) => {
    const before = await readdir('/dev/shm');
    const encoder = fork(codePath('test/contract/encoder/sharing-encoder'), [
      await modelDirectory(test),
    ]);
    test.after(() => encoder.kill('SIGKILL'));
    const [address]: unknown[] = await once(encoder, 'message');
    const channel = openChannel(String(address), 'tensors');
    test.after(() => channel.close());
    const client = createMeshClient(encoderServiceDefinition, channel);
    const sharing = await readerOf(client);
    const { signal } = new AbortController();
    const item = { header: {}, content: await pngOf(9) };

    const rows: ReceivedRows[] = [];
    for await (const event of encodeItem(client, item, { hiddenSize: 8, signal, sharing })) {
      if (event.kind === 'rows') rows.push(event.rows);
    }
    await killed(encoder);

    const [one] = rows;
    assert.deepEqual(transports(rows), ['shared_memory']);
    assert.deepEqual(
      new Float32Array(one?.data.buffer ?? new ArrayBuffer(0), 0, 32),
      new Float32Array(32).fill(9),
    );
    assert.deepEqual(await readdir('/dev/shm'), before);
  });

  it('are free again when their caller is killed before it half-closes', async (test) => {
    const vision = await startVision(test, { sharing: sharingOf() });
    const taker = fork(codePath('test/contract/encoder/rows-taker'), [vision.process.address]);
    test.after(() => taker.kill('SIGKILL'));
    await once(taker, 'message');
    const metric = await metricsOf(vision, test);
    assert.equal(metric('encoder_items_running'), 1);

    await killed(taker);

    await drained(vision, test);
    assert.equal((await metricsOf(vision, test))('encoder_items', { result: 'cancelled' }), 1);
  });
});

async function killed(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}
