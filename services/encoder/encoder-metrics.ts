import type { Counter, Histogram, MetricRegistry } from '#mesh/metrics.ts';

/** Bounds in seconds: a demo image takes milliseconds, a large screenshot on a CPU many seconds. */
const STAGE_BUCKETS_S = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120,
] as const;

const BATCH_BUCKETS = [1, 2, 3, 4, 6, 8, 12, 16, 32, 64] as const;

export type EncoderStage = 'queue' | 'decode' | 'preprocess' | 'encode';

/** How an `Encode` call ended. */
export type ItemResult = 'encoded' | 'cache_hit' | 'refused' | 'cancelled' | 'failed';

/** Values that gauges read. */
export interface EncoderLevels {
  readonly numAdmitted: () => number;
  readonly maxAdmitted: () => number;
  readonly numWaiting: () => number;
  readonly cacheBytes: () => number;
  readonly cacheItems: () => number;
  readonly isLoaded: () => boolean;
  readonly sharedBytes: () => number;
  readonly pooledBytes: () => number;
}

/** The metrics of an encoder process; `mm_cache_*` are vLLM's names. */
export class EncoderMetrics {
  readonly items: Counter;
  readonly rows: Counter;
  readonly rowBytes: Counter;
  readonly cacheQueries: Counter;
  readonly cacheHits: Counter;
  readonly seconds: Histogram;
  readonly batchSize: Histogram;
  readonly #registry: MetricRegistry;

  constructor(registry: MetricRegistry) {
    this.#registry = registry;
    const counter = (name: string, help: string) => registry.counter(name, help);
    const histogram = (name: string, help: string, bounds: readonly number[]) =>
      registry.histogram(name, help, bounds);
    this.items = counter('encoder_items', 'Encode calls by result');
    this.rows = counter('encoder_rows', 'Embedding rows sent');
    this.rowBytes = counter('encoder_row_bytes', 'Bytes of embedding rows sent, by transport');
    this.cacheQueries = counter('mm_cache_queries', 'Items looked up in the encoder cache');
    this.cacheHits = counter('mm_cache_hits', 'Items whose rows came from the encoder cache');
    // Begun at 0, so that shares can be told before the first hit.
    for (const one of [this.rows, this.cacheQueries, this.cacheHits]) one.add(0);
    this.seconds = histogram(
      'encoder_seconds',
      'Time of an item by stage, seconds',
      STAGE_BUCKETS_S,
    );
    this.batchSize = histogram('encoder_batch_size', 'Items in a batch', BATCH_BUCKETS);
  }

  /** Adds the gauges of queue, cache and tower. */
  watch(levels: EncoderLevels): void {
    const level = (name: string, help: string, read: () => number) => ({ name, help, read });
    const running = 'Items between admission and their last row';
    const loaded = '1 while the tower is in memory';
    const shared = 'Bytes of rows in shared memory, until the garbage collector frees them';
    const pooled = 'Bytes of rows in memory of the GPU, cached ones included';
    this.#registry.show([
      level('encoder_items_running', running, levels.numAdmitted),
      level('encoder_items_limit', 'Items beyond which others are refused', levels.maxAdmitted),
      level('encoder_queue_depth', 'Decoded items that wait for a batch', levels.numWaiting),
      level(
        'encoder_cache_bytes',
        'Bytes of rows in the encoder cache, without those of a GPU',
        levels.cacheBytes,
      ),
      level('encoder_cache_items', 'Items in the encoder cache', levels.cacheItems),
      level('encoder_shared_memory_bytes', shared, levels.sharedBytes),
      level('encoder_row_pool_bytes', pooled, levels.pooledBytes),
      level('encoder_loaded', loaded, () => Number(levels.isLoaded())),
    ]);
  }
}
