import { LRUCache } from 'lru-cache';
import type { Embedding } from '#backbone/engine/row-source.ts';

/** Keeps embeddings by item key, bounded in bytes; evicts the least recently used first. */
export class EmbeddingCache {
  readonly #items: LRUCache<string, Embedding> | null;

  /** `maxBytes` bounds the sum of all rows; 0 keeps nothing. */
  constructor(maxBytes: number) {
    this.#items =
      maxBytes === 0
        ? null
        : new LRUCache({ maxSize: maxBytes, sizeCalculation: ({ rows }) => rows.byteLength });
  }

  get(key: string): Embedding | undefined {
    return this.#items?.get(key);
  }

  /** Keeps an embedding; one larger than the whole cache is not kept. */
  set(key: string, embedding: Embedding): void {
    this.#items?.set(key, embedding);
  }

  get bytes(): number {
    return this.#items?.calculatedSize ?? 0;
  }
}
