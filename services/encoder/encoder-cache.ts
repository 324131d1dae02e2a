import { RowCache } from '#mesh/encode/row-cache.ts';
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

/** Keeps embeddings by content hash and preprocessing options. */
export class EncoderCache extends RowCache<HostItem, PooledItem> {
  /** `maxBytes` bounds the sum of all rows in memory of the host; 0 keeps nothing at all. */
  constructor(maxBytes: number) {
    super({ maxBytes, bytesOf: ({ host: { rows } }) => rows.byteLength });
  }
}
