import type { RowLease } from '#mesh/encode/row-pool.ts';
import type { PlaceholderRange } from './placeholder-range.ts';

/** The embedding rows of one media item, in memory of the host or of the decoder's GPUs. */
export type Embedding = HostEmbedding | DeviceEmbedding;

export interface HostEmbedding {
  readonly numRows: number;
  readonly dtype: 'float32' | 'bfloat16';
  /** `[num_rows, hidden_size]` of `dtype`, little-endian. */
  readonly rows: Uint8Array;
}

export interface DeviceEmbedding {
  readonly numRows: number;
  readonly dtype: 'float32';
  /** Place of the rows `[num_rows, hidden_size]` in the row pool. */
  readonly lease: RowLease;
}

/** Holds the memory of rows once more. */
export function retain(embedding: Embedding): void {
  if ('lease' in embedding) embedding.lease.retain();
}

/** Gives up the memory of rows, which whoever says so holds. */
export function release(embedding: Embedding): void {
  if ('lease' in embedding) embedding.lease.release();
}

/** Returns the bytes of the rows. */
export function numBytesOf(embedding: Embedding): number {
  return 'lease' in embedding ? embedding.lease.numBytes : embedding.rows.byteLength;
}

/**
 * Gives the engine the rows of a prompt's media items. The engine asks for an item when a sequence
 * cannot go on without it, once for all the steps that read it, and asks again if its tokens have
 * to be recomputed. A rejection ends the sequence.
 */
export interface RowSource {
  /**
   * Returns the `range.numTokens` rows of the item. The caller keeps them, the source need not; it holds
   * their memory and releases it.
   */
  rowsOf(range: PlaceholderRange): Promise<Embedding>;
}
