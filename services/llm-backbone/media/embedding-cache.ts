import { LRUCache } from 'lru-cache';
import {
  type DeviceEmbedding,
  type Embedding,
  type HostEmbedding,
  retain,
} from '#backbone/engine/row-source.ts';

/** Most embeddings in the row pool that are kept, whose rows together are bounded by the pool. */
const MAX_ON_DEVICE = 4096;

/**
 * Keeps embeddings by item key, bounded in bytes; evicts the least recently used first. Rows in the row
 * pool are kept until their room is needed.
 */
export class EmbeddingCache {
  readonly #host: LRUCache<string, HostEmbedding> | null;
  readonly #device: LRUCache<string, DeviceEmbedding> | null;

  /** `maxBytes` bounds the sum of all rows in memory of the host; 0 keeps nothing at all. */
  constructor(maxBytes: number) {
    if (maxBytes === 0) {
      this.#host = null;
      this.#device = null;
      return;
    }
    this.#host = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: ({ rows }) => rows.byteLength,
    });
    this.#device = new LRUCache({ max: MAX_ON_DEVICE, dispose: ({ lease }) => lease.release() });
  }

  get(key: string): Embedding | undefined {
    return this.#device?.get(key) ?? this.#host?.get(key);
  }

  /** Keeps an embedding, and holds its memory; one larger than the whole cache is not kept. */
  set(key: string, embedding: Embedding): void {
    if (!('lease' in embedding)) {
      this.#host?.set(key, embedding);
    } else if (this.#device !== null) {
      retain(embedding);
      this.#device.set(key, embedding);
    }
  }

  /** Gives up the embedding in the row pool that was used least recently; false if there is none. */
  dropOnDevice(): boolean {
    return this.#device?.pop() !== undefined;
  }

  /** Bytes of rows in memory of the host. */
  get bytes(): number {
    return this.#host?.calculatedSize ?? 0;
  }
}
