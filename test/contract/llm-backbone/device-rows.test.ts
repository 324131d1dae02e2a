import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { ServerError, Status } from 'nice-grpc-common';
import type { DecoderRows } from '#backbone/media/device-rows.ts';
import type { OpenedRowPool, RowCopy } from '#native';
import { DType } from '#protos/autoglm/common/v1/tensor.ts';
import type { EncodeResponse } from '#protos/autoglm/encoder/v1/encoder.ts';
import { until } from '#test/unit/encoder/doubles.ts';
import { FakeDecoder } from '#test/unit/llm-backbone/fake-decoder.ts';
import { DONE, type EncodeCall, encoded, HIDDEN_SIZE, planOf, rowsOf } from './fake-encoder.ts';
import { IMAGE, startMedia } from './media-harness.ts';
import { sharedPlace } from './shared-place.ts';

const GPU = 'GPU-1';
const NUM_ROWS = 4;
const ROW_BYTES = HIDDEN_SIZE * Float32Array.BYTES_PER_ELEMENT;
const ITEM_BYTES = NUM_ROWS * ROW_BYTES;
const OFFSET = 512;
const HANDLE = Buffer.alloc(64, 3);
const SECRET = Buffer.alloc(32, 5);

/** The row pool of a decoder on a GPU, which notes what it is asked for. */
class FakeRows implements DecoderRows {
  readonly trace: string[] = [];
  readonly copies: RowCopy[] = [];
  readonly numBytes: number;
  readonly reachableDevices = [GPU];
  /** Why no pool can be opened; undefined: all can. */
  refusal: Error | undefined;
  failsCopies = false;
  #numOpened = 0;

  constructor(numItems: number) {
    this.numBytes = numItems * ITEM_BYTES;
  }

  async openRowPool({ handle, numBytes }: OpenedRowPool): Promise<number> {
    this.trace.push('open');
    assert.deepEqual([Buffer.from(handle), numBytes], [HANDLE, 65_536]);
    if (this.refusal !== undefined) throw this.refusal;
    return this.#numOpened++;
  }

  async closeRowPool(source: number): Promise<void> {
    this.trace.push(`close ${source}`);
  }

  async copyRows(copy: RowCopy): Promise<void> {
    this.trace.push(`copy from ${copy.source}`);
    if (this.failsCopies) throw new Error('no pool of that number is open');
    this.copies.push(copy);
  }
}

function deviceRows(changes: { readonly dtype?: DType; readonly numRows?: number } = {}) {
  const { dtype = DType.D_TYPE_FLOAT32, numRows = NUM_ROWS } = changes;
  const memory = { handle: HANDLE, sizeBytes: 65_536n, device: GPU, token: Buffer.alloc(16, 9) };
  const value = { dtype, shape: [numRows, HIDDEN_SIZE], memory, offsetBytes: BigInt(OFFSET) };
  return { event: { $case: 'deviceRows', value } } satisfies EncodeResponse;
}

/** Starts a backbone on a GPU, whose encoder offers rows in memory of its own GPU. */
async function startOnGpu(
  test: TestContext,
  { rows = new FakeRows(2), offer = deviceRows(), options = {}, numVision = 1 } = {},
) {
  const decoder = new FakeDecoder();
  decoder.rows = rows;
  const answers: string[] = [];
  let numToFail = 0;
  const failNext = () => {
    numToFail++;
  };
  const backbone = await startMedia(test, {
    decoder,
    options,
    numVision,
    prepare: (encoders) => {
      for (const encoder of encoders) {
        encoder.model = { sharedMemory: sharedPlace(test, SECRET) };
        encoder.script = script;
      }
    },
  });
  async function* script(call: EncodeCall): AsyncGenerator<EncodeResponse> {
    const { reachableDevices, sharedMemorySecret } = call.header;
    const isReached = sharedMemorySecret.equals(SECRET) && reachableDevices.includes(GPU);
    if (!isReached) return yield* encoded(call);
    yield planOf(call);
    yield offer;
    const answer = await call.answered();
    answers.push(answer);
    if (numToFail-- > 0) throw new ServerError(Status.UNAVAILABLE, 'the encoder dies');
    if (answer === 'refused') yield rowsOf(0, NUM_ROWS);
    yield DONE;
  }
  const received = (transport: string) =>
    backbone.metric('embedding_received_bytes', { transport });
  return { ...backbone, decoder, rows, answers, received, failNext };
}

describe('a backbone on a GPU', () => {
  it('gives the decoder rows that were copied from the GPU of the encoder', async (test) => {
    const { ask, decoder, rows, answers, received } = await startOnGpu(test);

    await ask([5, IMAGE, 6], [`${NUM_ROWS} cats`]);

    assert.deepEqual(rows.copies, [
      { source: 0, sourceOffset: OFFSET, targetOffset: 0, numBytes: ITEM_BYTES },
    ]);
    assert.deepEqual(decoder.mediaRows, [
      { firstToken: 1, numRows: NUM_ROWS, dtype: 'float32', poolOffset: 0 },
    ]);
    assert.deepEqual(answers, ['taken']);
    assert.equal(await received('device_memory'), ITEM_BYTES);
    assert.equal(await received('message'), 0);
  });

  it('gives each chunk of a prompt its part of the rows', async (test) => {
    const { ask, decoder } = await startOnGpu(test, {
      options: { maxNumBatchedTokens: 16, maxNumSeqs: 4 },
    });
    const text = Array.from({ length: 13 }, (_, i) => 10 + i);

    await ask([...text, IMAGE, 6], [`${NUM_ROWS} cats`]);

    const places = decoder.mediaRows.map((media) => [
      media.numRows,
      'poolOffset' in media ? media.poolOffset / ROW_BYTES : -1,
    ]);
    assert.deepEqual(places, [
      [3, 0],
      [1, 3],
    ]);
  });

  it('opens the memory of an encoder once, and takes rows that it has from its cache', async (test) => {
    const { ask, decoder, rows, metric } = await startOnGpu(test);

    await ask([5, IMAGE, 6], ['4 cats']);
    await ask([7, IMAGE, 6], ['4 cats']);
    await ask([5, IMAGE, 6], ['4 dogs']);

    assert.deepEqual(rows.trace, ['open', 'copy from 0', 'copy from 0']);
    const offsets = decoder.mediaRows.map((media) => 'poolOffset' in media && media.poolOffset);
    assert.deepEqual(offsets, [0, 0, ITEM_BYTES]);
    assert.equal(await metric('embedding_row_pool_bytes'), 2 * ITEM_BYTES);
  });

  it('gives the room of rows that no request needs to the next ones', async (test) => {
    const { ask, rows, received } = await startOnGpu(test, { rows: new FakeRows(1) });

    await ask([5, IMAGE, 6], ['4 cats']);
    await ask([5, IMAGE, 6], ['4 dogs']);

    assert.deepEqual(
      rows.copies.map(({ targetOffset }) => targetOffset),
      [0, 0],
    );
    assert.equal(await received('device_memory'), 2 * ITEM_BYTES);
  });

  it('frees rows with the request that needs them if it has no cache', async (test) => {
    const options = { embeddingCacheMb: 0 };
    const { ask, decoder, metric } = await startOnGpu(test, { options });

    await ask([5, IMAGE, 6], ['4 cats']);

    assert.equal(decoder.mediaRows.length, 1);
    assert.equal(await metric('embedding_row_pool_bytes'), 0);
  });

  it('asks for rows that find no room by another way, on the same call', async (test) => {
    const { ask, decoder, rows, answers, received } = await startOnGpu(test, {
      rows: new FakeRows(0.5),
    });

    await ask([5, IMAGE, 6], ['4 cats']);

    assert.deepEqual(answers, ['refused']);
    assert.deepEqual(rows.copies, []);
    assert.ok(decoder.mediaRows[0] !== undefined && 'rows' in decoder.mediaRows[0]);
    assert.equal(await received('message'), ITEM_BYTES);
  });

  it('asks for rows by another way for good if the memory cannot be opened', async (test) => {
    const rows = new FakeRows(2);
    rows.refusal = new Error('invalid resource handle');
    const { ask, answers, received, vision } = await startOnGpu(test, { rows });

    await ask([5, IMAGE, 6], ['4 cats']);
    await ask([5, IMAGE, 6], ['4 dogs']);

    assert.deepEqual(answers, ['refused']);
    assert.deepEqual(rows.trace, ['open']);
    const reachable = vision[0]?.headers.map(({ reachableDevices }) => reachableDevices);
    assert.deepEqual(reachable, [[GPU], []]);
    assert.equal(await received('message'), 2 * ITEM_BYTES);
  });

  it('asks for rows by another way whose copy fails, and copies the next ones', async (test) => {
    const { ask, rows, answers, metric } = await startOnGpu(test);

    rows.failsCopies = true;
    await ask([5, IMAGE, 6], ['4 cats']);
    rows.failsCopies = false;
    await ask([5, IMAGE, 6], ['4 dogs']);

    assert.deepEqual(answers, ['refused', 'taken']);
    assert.equal(await metric('embedding_row_pool_bytes'), ITEM_BYTES);
  });

  it('uses no rows of an encoder that dies before the end of its call, and asks another one', async (test) => {
    const { ask, decoder, rows, failNext, metric } = await startOnGpu(test, { numVision: 2 });
    failNext();

    await ask([5, IMAGE, 6], ['4 cats']);

    assert.equal(rows.copies.length, 2);
    assert.equal(decoder.mediaRows.length, 1);
    assert.equal(await metric('embedding_row_pool_bytes'), ITEM_BYTES);
  });

  it('closes the memory of an encoder that is gone', async (test) => {
    const { ask, rows, vision } = await startOnGpu(test);
    await ask([5, IMAGE, 6], ['4 cats']);

    await vision[0]?.stop();

    await until(
      () => rows.trace.includes('close 0'),
      () => rows.trace,
    );
  });

  it('refuses rows of another type or number than were planned', async (test) => {
    for (const changes of [{ dtype: DType.D_TYPE_BFLOAT16 }, { numRows: 5 }]) {
      const { ask, rows } = await startOnGpu(test, { offer: deviceRows(changes) });

      await assert.rejects(ask([5, IMAGE, 6], ['4 cats']), /broke the Encode contract/);

      assert.deepEqual(rows.copies, []);
    }
  });

  it('tells no encoder of its GPUs if sharing is turned off', async (test) => {
    const { ask, received } = await startOnGpu(test, { options: { sharedMemory: 'off' } });

    await ask([5, IMAGE, 6], ['4 cats']);

    assert.equal(await received('message'), ITEM_BYTES);
  });
});
