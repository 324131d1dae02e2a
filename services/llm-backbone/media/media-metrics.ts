import type { RowTransport } from '#mesh/encode/encoder-call.ts';
import type { Counter, Labels, MetricRegistry } from '#mesh/metrics.ts';
import type { MediaModality } from '#mesh/modality.ts';
import { PeerFlag } from '#mesh/peers/peer-flag.ts';
import type { HedgeResult } from './hedging.ts';

/** How an `Encode` stream ended. */
export type EncodeResult = 'encoded' | 'cache_hit' | 'refused' | 'failed' | 'cancelled';

/** The encoders of one modality as gauges see them. */
export interface WatchedEncoders {
  readonly peers: readonly { readonly address: string; readonly isReady: boolean }[];
  /** Tells whether an encoder is left out because it fails repeatedly. */
  isOut(address: string): boolean;
}

/** Values that gauges read. */
export interface MediaLevels {
  readonly cacheBytes: () => number;
  readonly bufferBytes: () => number;
  readonly pooledBytes: () => number;
}

/** The backbone's metrics of images and audio; `mm_cache_*` are vLLM's names. */
export class MediaMetrics {
  readonly #labels: Labels;
  readonly #registry: MetricRegistry;
  readonly #queries: Counter;
  readonly #hits: Counter;
  readonly #encodes: Counter;
  readonly #hedges: Counter;
  readonly #receivedBytes: Counter;

  constructor(registry: MetricRegistry, modelName: string) {
    this.#labels = { model_name: modelName };
    this.#registry = registry;
    const counter = (name: string, help: string) => registry.counter(name, help);
    this.#queries = counter('mm_cache_queries', 'Items looked up in the embedding cache');
    this.#hits = counter('mm_cache_hits', 'Items found in the embedding cache');
    this.#encodes = counter('encode_requests', 'Encode streams by modality and result');
    this.#hedges = counter('encode_hedges', 'Items that a second encoder was asked for beside');
    this.#receivedBytes = counter('embedding_received_bytes', 'Bytes of rows, by transport');
  }

  /** Adds the gauges of the buffer and the cache. */
  watch(levels: MediaLevels): void {
    const cache = {
      name: 'embedding_cache_bytes',
      help: 'Bytes of rows in the embedding cache, without those of GPUs',
      read: levels.cacheBytes,
    };
    const buffer = {
      name: 'media_buffer_bytes',
      help: 'Bytes of media that requests hold',
      read: levels.bufferBytes,
    };
    const pool = {
      name: 'embedding_row_pool_bytes',
      help: "Bytes of rows in memory of each of the decoder's GPUs, cached ones included",
      read: levels.pooledBytes,
    };
    this.#registry.show([cache, buffer, pool], this.#labels);
  }

  /**
   * Adds the gauges of a modality's encoders: whether each can be asked, and is left out because it
   * fails.
   */
  watchEncoders(modality: MediaModality, client: WatchedEncoders): void {
    const shared = {
      label: 'encoder',
      labels: { ...this.#labels, modality },
      peers: () => client.peers,
    };
    this.#registry.register(
      new PeerFlag({
        ...shared,
        name: 'encoder_endpoints_ready',
        help: 'Whether the encoder can be asked, 1 or 0',
        isSet: ({ isReady }) => isReady,
      }),
    );
    this.#registry.register(
      new PeerFlag({
        ...shared,
        name: 'encoder_endpoints_ejected',
        help: 'Whether the encoder is left out because it fails repeatedly, 1 or 0',
        isSet: ({ address }) => client.isOut(address),
      }),
    );
  }

  lookedUp({ found }: { readonly found: boolean }): void {
    this.#queries.add(1, this.#labels);
    this.#hits.add(Number(found), this.#labels);
  }

  encodeEnded(modality: MediaModality, result: EncodeResult): void {
    this.#encodes.add(1, { ...this.#labels, modality, result });
  }

  hedgeEnded(modality: MediaModality, result: HedgeResult): void {
    this.#hedges.add(1, { ...this.#labels, modality, result });
  }

  rowsReceived(bytes: number, transport: RowTransport): void {
    this.#receivedBytes.add(bytes, { ...this.#labels, transport });
  }
}
