import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { pino } from 'pino';
import { RowReader } from '#backbone/media/row-reader.ts';
import { openRowSharing } from '#encoder/row-sharing.ts';
import { withResolvers } from '#mesh/async/with-resolvers.ts';
import type { DeviceRowsReader, OfferedRows, SharedRowsReader } from '#mesh/encode/encoder-call.ts';
import { RowPool } from '#mesh/encode/row-pool.ts';
import { resolveOptions } from '#mesh/options.ts';
import { FakeEncoder, HIDDEN_SIZE } from '#test/unit/encoder/doubles.ts';
import { visionEncoderOptions } from '#vision/options.ts';
import { metricsOf } from './encoder-metrics.ts';
import { pngOf, type RunningEncoder, startVision } from './harness.ts';

const SILENT = pino({ level: 'silent' });
const GPU = 'GPU-1';

/** Starts an encoder on a GPU whose row pool has room for so many of the images of these tests. */
async function startOnGpu(test: TestContext, { numItems = 2, options = {} } = {}) {
  const rowPool = { numBytes: 256 * numItems, handle: randomBytes(64), device: GPU };
  const tower = new FakeEncoder('image', { rowPool });
  tower.isSharing = true;
  const resolved = resolveOptions(visionEncoderOptions, { model: 'x' }, {});
  const sharing = openRowSharing(resolved, SILENT);
  assert.ok(sharing !== undefined);
  const vision = await startVision(test, { sharing, load: async () => tower, isa: '', options });
  tower.trace.length = 0;
  const { sharedMemory } = await vision.client.getModel({});
  assert.ok(sharedMemory !== undefined);
  return { ...vision, tower, rowPool, reader: new RowReader(sharedMemory) };
}

/** A caller on a GPU, which notes what it was offered and takes it if `hasRoom`. */
class Caller implements SharedRowsReader {
  readonly secret: Buffer;
  readonly map: SharedRowsReader['map'];
  readonly offers: OfferedRows[] = [];
  readonly device: { readonly devices: readonly string[]; copy: DeviceRowsReader['copy'] };
  hasRoom = true;
  readonly #pool = new RowPool({ numBytes: 4096, reclaim: () => false });

  constructor({ secret, map }: SharedRowsReader, devices: readonly string[] = [GPU]) {
    this.secret = secret;
    this.map = map;
    this.device = {
      devices,
      copy: async (offer) => {
        this.offers.push(offer);
        return this.hasRoom ? this.#pool.take(offer.numBytes) : undefined;
      },
    };
  }
}

async function askFor(vision: RunningEncoder, gray: number, caller?: SharedRowsReader) {
  const { events, rows, values, cacheHit } = await vision.encode(
    { header: {}, content: await pngOf(gray) },
    undefined,
    caller,
  );
  const isOnDevice = events.some(({ kind }) => kind === 'device rows');
  const transport = isOnDevice ? 'device_memory' : rows[0]?.transport;
  return { transport, values, cacheHit };
}

const ITEM_BYTES = 4 * HIDDEN_SIZE * Float32Array.BYTES_PER_ELEMENT;

describe('an encoder on a GPU', () => {
  it('offers rows in its memory to a caller that can open it, from its cache too', async (test) => {
    const vision = await startOnGpu(test);
    const caller = new Caller(vision.reader);

    const fresh = await askFor(vision, 7, caller);
    const cached = await askFor(vision, 7, caller);

    assert.deepEqual(fresh, { transport: 'device_memory', values: [], cacheHit: false });
    assert.deepEqual(cached, { transport: 'device_memory', values: [], cacheHit: true });
    const [offer, again] = caller.offers;
    assert.deepEqual(offer, again);
    assert.ok(offer !== undefined);
    assert.deepEqual(offer.memory.handle, vision.rowPool.handle);
    assert.equal(offer.memory.device, GPU);
    assert.equal(offer.memory.token.length, 16);
    assert.equal(offer.numBytes, ITEM_BYTES);
    assert.equal(vision.tower.pooled.get(offer.offsetBytes)?.[0], 7);
    const metric = await metricsOf(vision, test);
    assert.equal(metric('encoder_row_bytes', { transport: 'device_memory' }), 2 * ITEM_BYTES);
    assert.equal(metric('encoder_row_pool_bytes'), 256);
  });

  it('sends rows by another way, on the same call, to a caller that refuses them', async (test) => {
    const vision = await startOnGpu(test);
    const caller = new Caller(vision.reader);
    caller.hasRoom = false;

    const answer = await askFor(vision, 7, caller);
    const cached = await askFor(vision, 7, caller);

    assert.deepEqual(answer, { transport: 'shared_memory', values: [7], cacheHit: false });
    assert.deepEqual(cached, { transport: 'shared_memory', values: [7], cacheHit: true });
    assert.equal(caller.offers.length, 2);
    const encodes = vision.tower.trace.filter((event) => event.startsWith('encode'));
    assert.deepEqual(encodes, ['encode 1']);
  });

  it('offers none to a caller whose GPUs do not reach its own, or that has not the secret', async (test) => {
    const vision = await startOnGpu(test);
    const elsewhere = new Caller(vision.reader, ['GPU-2']);
    const guessing = new Caller({
      ...vision.reader,
      secret: Buffer.alloc(32),
      map: vision.reader.map,
    });

    assert.equal((await askFor(vision, 7, elsewhere)).transport, 'shared_memory');
    assert.equal((await askFor(vision, 7, guessing)).transport, 'message');

    assert.deepEqual([...elsewhere.offers, ...guessing.offers], []);
    assert.equal(vision.tower.pooled.size, 0);
  });

  it('copies cached rows to the host for a caller without a GPU', async (test) => {
    const vision = await startOnGpu(test);
    await askFor(vision, 7, new Caller(vision.reader));

    const message = await askFor(vision, 7);
    const shared = await askFor(vision, 7, new Caller(vision.reader, []));

    assert.deepEqual(message, { transport: 'message', values: [7], cacheHit: true });
    assert.deepEqual(shared, { transport: 'shared_memory', values: [7], cacheHit: true });
  });

  it('gives the room of the item that was used least recently to the next one', async (test) => {
    const vision = await startOnGpu(test, { numItems: 2 });
    const caller = new Caller(vision.reader);
    await askFor(vision, 1, caller);
    await askFor(vision, 2, caller);
    await askFor(vision, 1, caller);

    await askFor(vision, 3, caller);

    assert.equal((await askFor(vision, 1, caller)).cacheHit, true);
    assert.equal((await askFor(vision, 2, caller)).cacheHit, false);
  });

  it('keeps rows until the caller has them, though their room is wanted', async (test) => {
    const vision = await startOnGpu(test, { numItems: 1 });
    const copying = withResolvers<void>();
    const begun = withResolvers<void>();
    const slow = new Caller(vision.reader);
    const copy = slow.device.copy;
    slow.device.copy = async (offer) => {
      begun.resolve();
      await copying.promise;
      return copy(offer);
    };
    const first = askFor(vision, 1, slow);
    await begun.promise;

    const second = await askFor(vision, 2, new Caller(vision.reader));

    assert.equal(second.transport, 'shared_memory');
    assert.equal(vision.tower.pooled.get(0)?.[0], 1);
    copying.resolve();
    assert.equal((await first).transport, 'device_memory');
  });

  it('keeps nothing in its memory when its cache is turned off', async (test) => {
    const vision = await startOnGpu(test, { options: { encoderCacheMb: 0 } });

    const answer = await askFor(vision, 7, new Caller(vision.reader));

    assert.equal(answer.transport, 'device_memory');
    assert.equal((await metricsOf(vision, test))('encoder_row_pool_bytes'), 0);
  });
});
