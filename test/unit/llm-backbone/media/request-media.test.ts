import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Embedding } from '#backbone/engine/row-source.ts';
import { EmbeddingCache } from '#backbone/media/embedding-cache.ts';
import { Embeddings, type ItemEncoder } from '#backbone/media/embeddings.ts';
import type { EncodableItem } from '#backbone/media/media-item.ts';
import { MediaMetrics } from '#backbone/media/media-metrics.ts';
import { RequestMedia } from '#backbone/media/request-media.ts';
import { MeshError } from '#mesh/errors.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { CallTrace } from '#mesh/trace/call-trace.ts';
import { refusal } from '#test/refusal.ts';
import { settled } from '#test/unit/encoder/doubles.ts';
import { imageAt, rowsFor } from '#test/unit/llm-backbone/engine/scheduling.ts';

const RANGE = imageAt(1, 4);

type EncodeProgress = Parameters<ItemEncoder['encode']>[1];

/** An encoder that encodes when it is told to, and records the requested keys. */
class HeldEncoder implements ItemEncoder {
  readonly peers = [];
  readonly numReady = 1;
  readonly keys: string[] = [];
  readonly signals: AbortSignal[] = [];
  #held: (() => void)[] = [];
  #refusal: MeshError | undefined;

  encode({ key }: EncodableItem, { signal, onPlan }: EncodeProgress): Promise<Embedding> {
    this.keys.push(key);
    this.signals.push(signal);
    const refused = this.#refusal;
    if (refused !== undefined) return Promise.reject(refused);
    onPlan({ numRows: RANGE.numTokens, durationMs: 0, grid: { t: 1, h: 2, w: 2 } });
    return new Promise((resolve) => {
      this.#held.push(() => resolve(rowsFor(RANGE)));
    });
  }

  release(): void {
    for (const release of this.#held.splice(0)) release();
  }

  refuse(refused: MeshError): void {
    this.#refusal = refused;
  }

  async close(): Promise<void> {}
}

function itemOf(key: string): EncodableItem {
  const identity = { modality: 'image', key, mediaType: '', options: undefined } as const;
  return {
    ...identity,
    client: 'a',
    cacheSalt: '',
    requestId: 'req',
    call: new CallTrace('llm-backbone', undefined),
    contentHash: Buffer.alloc(32),
    sizeBytes: 1,
    chunks: [Buffer.alloc(1)],
  };
}

/** Makes requests over one encoder; with `cacheBytes` 0 no rows are kept. */
function startRequests({ cacheBytes = 1000 }: { readonly cacheBytes?: number } = {}) {
  const encoder = new HeldEncoder();
  const embeddings = new Embeddings({
    clients: new Map([['image', encoder]]),
    checkpointModalities: ['image'],
    modelId: 'tiny',
    cache: new EmbeddingCache(cacheBytes),
    metrics: new MediaMetrics(new MetricRegistry(), 'test'),
  });
  let numGivenBack = 0;
  const request = (...keys: readonly string[]) =>
    new RequestMedia(keys.map(itemOf), embeddings, () => {
      numGivenBack += 1;
    });
  return { encoder, request, numGivenBack: () => numGivenBack };
}

describe('RequestMedia as a row source', () => {
  it('encodes an item once for all who ask at the same time', async () => {
    const { encoder, request } = startRequests();
    const [first, second] = [request('cat'), request('cat')];

    const asked = [first.rowsOf(RANGE), first.rowsOf(RANGE), second.rowsOf(RANGE)];
    encoder.release();

    for (const rows of await Promise.all(asked)) assert.deepEqual(rows, rowsFor(RANGE));
    assert.deepEqual(encoder.keys, ['cat']);
  });

  it('gives the rows of an encoding that was started to count them', async () => {
    const { encoder, request } = startRequests({ cacheBytes: 0 });
    const media = request('cat');
    await media.shapes();

    const asked = media.rowsOf(RANGE);
    encoder.release();

    assert.deepEqual(await asked, rowsFor(RANGE));
    assert.deepEqual(encoder.keys, ['cat']);
  });

  it('answers a repeated question from the cache', async () => {
    const { encoder, request } = startRequests();
    const media = request('cat');
    const asked = media.rowsOf(RANGE);
    encoder.release();
    await asked;

    assert.deepEqual(await media.rowsOf(RANGE), rowsFor(RANGE));

    assert.deepEqual(encoder.keys, ['cat']);
  });

  it('encodes again what the cache has lost', async () => {
    const { encoder, request } = startRequests({ cacheBytes: 0 });
    const media = request('cat');
    const asked = media.rowsOf(RANGE);
    encoder.release();
    await asked;

    const again = media.rowsOf(RANGE);
    encoder.release();

    assert.deepEqual(await again, rowsFor(RANGE));
    assert.deepEqual(encoder.keys, ['cat', 'cat']);
  });

  it('keeps an encoding for the others when one request ends', async () => {
    const { encoder, request } = startRequests();
    const [first, second] = [request('cat'), request('cat')];
    const asked = [first.rowsOf(RANGE), second.rowsOf(RANGE)];

    first.close();
    assert.deepEqual(
      encoder.signals.map(({ aborted }) => aborted),
      [false],
    );
    encoder.release();
    await Promise.all(asked);

    assert.deepEqual(encoder.keys, ['cat']);
  });

  it('ends an encoding nobody waits for any more, and gives no rows of a request that has ended', async () => {
    const { encoder, request, numGivenBack } = startRequests();
    const media = request('cat');
    void media.rowsOf(RANGE);
    await settled();

    media.close();

    assert.deepEqual(
      encoder.signals.map(({ aborted }) => aborted),
      [true],
    );
    assert.equal(numGivenBack(), 1);
    await assert.rejects(media.rowsOf(RANGE), { name: 'AbortError' });
  });

  it('names the item of the request that a refusal is about', async () => {
    const { encoder, request } = startRequests();
    encoder.refuse(new MeshError('UNSUPPORTED_MEDIA', 'this is no image'));
    const media = request('cat', 'dog');

    await assert.rejects(
      media.rowsOf({ ...RANGE, mediaIndex: 1 }),
      refusal('UNSUPPORTED_MEDIA', /no image/, 'media[1]'),
    );
  });
});
