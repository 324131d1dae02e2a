import { LRUCache } from 'lru-cache';
import type { ItemPlan, SharedSegment } from '#native';

/** An item whose rows are known. */
export interface EmbeddedItem {
  readonly plan: ItemPlan;
  /** SHA-256 of the item's bytes, 32 bytes. */
  readonly contentHash: Uint8Array;
  /** Length of a recording in milliseconds; 0 for an image. */
  readonly durationMs: number;
  /** Rows `[plan.numRows, hidden_size]`. */
  readonly rows: Float32Array;
  /** Where callers on this host find the rows, if they are in shared memory. */
  readonly shared?: SharedSegment | undefined;
}

/**
 * Keeps embeddings by content hash and preprocessing options; evicts the least recently used first.
 */
export class EncoderCache {
  readonly #items: LRUCache<string, EmbeddedItem> | null;

  /** `maxBytes` bounds the sum of all rows; 0 keeps nothing. */
  constructor(maxBytes: number) {
    this.#items =
      maxBytes === 0
        ? null
        : new LRUCache({ maxSize: maxBytes, sizeCalculation: (item) => sizeOf(item) });
  }

  get(key: string): EmbeddedItem | undefined {
    return this.#items?.get(key);
  }

  /** Keeps an item; one larger than the whole cache is not kept. */
  set(key: string, item: EmbeddedItem): void {
    this.#items?.set(key, item);
  }

  get numItems(): number {
    return this.#items?.size ?? 0;
  }

  get bytes(): number {
    return this.#items?.calculatedSize ?? 0;
  }
}

/** Returns the size of an item; one without rows still takes a place. */
function sizeOf(item: EmbeddedItem): number {
  return Math.max(1, item.rows.byteLength);
}
