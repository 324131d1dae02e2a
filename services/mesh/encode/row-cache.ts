import { LRUCache } from 'lru-cache';
import type { RowLease } from './row-pool.ts';

/** An item whose rows are in the row pool of a GPU, at a place that is held for it. */
interface Pooled {
  readonly lease: RowLease;
}

/** Most items of the row pool that are kept, whose rows together are bounded by the pool. */
const MAX_POOLED_ITEMS = 4096;

export interface RowCacheOptions<Host> {
  /** Bounds the sum of all rows in memory of the host; 0 keeps nothing at all. */
  readonly maxBytes: number;
  /** Returns the bytes of an item's rows in memory of the host. */
  readonly bytesOf: (item: Host) => number;
}

/**
 * Keeps items with their rows by a key; evicts the least recently used first. Rows in the row pool are
 * kept until their room is needed.
 */
export class RowCache<Host extends object, Device extends Pooled> {
  readonly #host: LRUCache<string, Host> | null;
  readonly #pooled: LRUCache<string, Device> | null;

  constructor({ maxBytes, bytesOf }: RowCacheOptions<Host>) {
    if (maxBytes === 0) {
      this.#host = null;
      this.#pooled = null;
      return;
    }
    this.#host = new LRUCache({
      maxSize: maxBytes,
      // An item without rows still takes a place.
      sizeCalculation: (item) => Math.max(1, bytesOf(item)),
    });
    this.#pooled = new LRUCache({
      max: MAX_POOLED_ITEMS,
      dispose: ({ lease }) => lease.release(),
    });
  }

  get(key: string): Host | Device | undefined {
    return this.#pooled?.get(key) ?? this.#host?.get(key);
  }

  /** Keeps an item; one larger than the whole cache is not kept. Holds its place in the row pool. */
  set(key: string, item: Host | Device): void {
    if (!isPooled<Host, Device>(item)) {
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

function isPooled<Host extends object, Device extends Pooled>(item: Host | Device): item is Device {
  return 'lease' in item;
}
