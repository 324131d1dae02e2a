import { LRUCache } from 'lru-cache';
import type { RowLease } from '#mesh/encode/row-pool.ts';
import type { HostRows, ItemPlan } from '#native';

/** An item whose rows are known: they are in memory of the host, or in the row pool of the tower's GPU. */
export type EmbeddedItem = ItemFacts & (HostItemRows | PooledItemRows);

export interface HostItemRows {
  readonly kind: 'host';
  readonly host: HostRows;
}

export interface PooledItemRows {
  readonly kind: 'pooled';
  readonly lease: RowLease;
}

interface ItemFacts {
  readonly plan: ItemPlan;
  /** SHA-256 of the item's bytes, 32 bytes. */
  readonly contentHash: Uint8Array;
  /** Length of a recording in milliseconds; 0 for an image. */
  readonly durationMs: number;
}

type HostItem = Extract<EmbeddedItem, HostItemRows>;
type PooledItem = Extract<EmbeddedItem, PooledItemRows>;

/** Most items of the row pool that are kept, whose rows together are bounded by the pool. */
const MAX_POOLED_ITEMS = 4096;

/**
 * Keeps embeddings by content hash and preprocessing options; evicts the least recently used first.
 * Rows in the row pool are kept until their room is needed.
 */
export class EncoderCache {
  readonly #host: LRUCache<string, HostItem> | null;
  readonly #pooled: LRUCache<string, PooledItem> | null;

  /** `maxBytes` bounds the sum of all rows in memory of the host; 0 keeps nothing at all. */
  constructor(maxBytes: number) {
    if (maxBytes === 0) {
      this.#host = null;
      this.#pooled = null;
      return;
    }
    this.#host = new LRUCache({ maxSize: maxBytes, sizeCalculation: sizeOf });
    this.#pooled = new LRUCache({
      max: MAX_POOLED_ITEMS,
      dispose: ({ lease }) => lease.release(),
    });
  }

  get(key: string): EmbeddedItem | undefined {
    return this.#pooled?.get(key) ?? this.#host?.get(key);
  }

  /** Keeps an item; one larger than the whole cache is not kept. Holds its place in the row pool. */
  set(key: string, item: EmbeddedItem): void {
    if (item.kind === 'host') {
      this.#host?.set(key, item);
    } else if (this.#pooled !== null) {
      item.lease.retain();
      this.#pooled.set(key, item);
    }
  }

  /** Gives up the item whose rows in the row pool were used least recently; false if there is none. */
  dropPooled(): boolean {
    return this.#pooled?.pop() !== undefined;
  }

  get numItems(): number {
    return (this.#host?.size ?? 0) + (this.#pooled?.size ?? 0);
  }

  /** Bytes of rows in memory of the host. */
  get bytes(): number {
    return this.#host?.calculatedSize ?? 0;
  }
}

/** Returns the size of an item; one without rows still takes a place. */
function sizeOf({ host: { rows } }: HostItem): number {
  return Math.max(1, rows.byteLength);
}
