import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { mapShared } from '#native';
import type { SharedMemory } from '#protos/autoglm/common/v1/shared_memory.ts';
import { DType } from '#protos/autoglm/common/v1/tensor.ts';
import type { EncodeResponse } from '#protos/autoglm/encoder/v1/encoder.ts';
import { DONE, type EncodeCall, encoded, HIDDEN_SIZE, planOf } from './fake-encoder.ts';
import { IMAGE, startMedia } from './media-harness.ts';
import { sharedPlace as place } from './shared-place.ts';

const NUM_ROWS = 4;
const SECRET = Buffer.alloc(32, 5);

/** Rows of ones, as an encoder shares them. */
function sharedRows(memory: SharedMemory): EncodeResponse {
  const value = { dtype: DType.D_TYPE_FLOAT32, shape: [NUM_ROWS, HIDDEN_SIZE], memory };
  return { event: { $case: 'sharedRows', value } };
}

const ONES = new Uint8Array(new Float32Array(NUM_ROWS * HIDDEN_SIZE).fill(1).buffer);

/** Starts a backbone whose encoder shares rows that are at `memory`. */
async function startSharing(
  test: TestContext,
  { memory, options = {} }: { readonly memory: SharedMemory; readonly options?: object },
) {
  const secrets: string[] = [];
  const backbone = await startMedia(test, {
    options,
    prepare: ([encoder]) => {
      assert.ok(encoder !== undefined);
      encoder.model = { sharedMemory: place(test, SECRET) };
      encoder.script = async function* (call: EncodeCall) {
        const { sharedMemorySecret } = call.header;
        secrets.push(sharedMemorySecret.toString());
        if (sharedMemorySecret.length === 0) return yield* encoded(call);
        yield planOf(call);
        yield sharedRows(memory);
        await call.answered();
        yield DONE;
      };
    },
  });
  const received = (transport: string) =>
    backbone.metric('embedding_received_bytes', { transport });
  return { ...backbone, secrets, received };
}

describe('a backbone on the host of its encoder', () => {
  it('gives the decoder the rows that lie in memory of the encoder', async (test) => {
    const memory = place(test, ONES);
    const { ask, decoder, secrets, received } = await startSharing(test, { memory });

    await ask([5, IMAGE, 6], [`${NUM_ROWS} cats`]);

    assert.deepEqual(secrets, [SECRET.toString()]);
    const [given] = decoder.mediaRows;
    assert.ok(given !== undefined && 'rows' in given);
    assert.deepEqual(Uint8Array.from(given.rows), ONES);
    assert.equal(await received('shared_memory'), ONES.length);
    assert.equal(await received('message'), 0);
  });

  it('asks the same encoder again, and from then on, for messages if its memory is not there', async (test) => {
    const memory = { ...place(test, ONES), token: Buffer.alloc(16) };
    const { ask, vision, decoder, secrets, received, metric } = await startSharing(test, {
      memory,
    });

    await ask([5, IMAGE, 6], ['4 cats']);
    await ask([5, IMAGE, 6], ['4 dogs']);

    assert.deepEqual(secrets, [SECRET.toString(), '', '']);
    assert.deepEqual(vision[0]?.contents, ['4 cats', '4 cats', '4 dogs']);
    assert.equal(decoder.mediaRows.length, 2);
    assert.equal(await received('message'), 2 * ONES.length);
    assert.equal(await received('shared_memory'), 0);
    assert.equal(await metric('encode_requests', { result: 'encoded' }), 2);
  });

  it('refuses shared rows of another size than their shape', async (test) => {
    const memory = place(test, ONES.subarray(4));
    const { ask } = await startSharing(test, { memory });

    await assert.rejects(ask([5, IMAGE, 6], ['4 cats']), /bytes for float32 \[4,64\]/);
  });

  it('gets rows in messages if sharing is turned off', async (test) => {
    const options = { sharedMemory: 'off' };
    const memory = place(test, ONES);
    const { ask, secrets, received } = await startSharing(test, { memory, options });

    await ask([5, IMAGE, 6], ['4 cats']);

    assert.deepEqual(secrets, ['']);
    assert.equal(await received('message'), ONES.length);
  });
});

describe('a backbone elsewhere', () => {
  it('gets rows in messages: no process of that number here has the secret', async (test) => {
    const { ask, vision, received } = await startMedia(test, {
      prepare: ([encoder]) => {
        assert.ok(encoder !== undefined);
        encoder.model = { sharedMemory: { ...place(test, SECRET), processId: 1 } };
      },
    }).then((backbone) => ({
      ...backbone,
      received: () => backbone.metric('embedding_received_bytes', { transport: 'message' }),
    }));

    await ask([5, IMAGE, 6], ['4 cats']);

    assert.equal(vision[0]?.headers[0]?.sharedMemorySecret.length, 0);
    assert.equal(await received(), ONES.length);
  });
});

describe('mapShared', () => {
  it('refuses a place that is none', () => {
    const token = Buffer.alloc(16);
    const at = { processId: process.pid, descriptor: 0, numBytes: 4, token };

    assert.throws(() => mapShared({ ...at, numBytes: 0 }), /numBytes above 0/);
    assert.throws(() => mapShared({ ...at, token: Buffer.alloc(15) }), /token of 16 bytes/);
    assert.throws(() => mapShared({ ...at, processId: -1 }), /processId/);
    assert.throws(() => mapShared(at), /is no segment/);
  });
});
