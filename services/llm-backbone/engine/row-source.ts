import type { PlaceholderRange } from './placeholder-range.ts';

/** The embedding rows of one media item. */
export interface Embedding {
  readonly numRows: number;
  readonly dtype: 'float32' | 'bfloat16';
  /** `[num_rows, hidden_size]` of `dtype`, little-endian. */
  readonly rows: Uint8Array;
}

/**
 * Gives the engine the rows of a prompt's media items. The engine asks for an item when a sequence
 * cannot go on without it, once for all the steps that read it, and asks again if its tokens have
 * to be recomputed. A rejection ends the sequence.
 */
export interface RowSource {
  /** Returns the `range.numTokens` rows of the item; the caller keeps them, the source need not. */
  rowsOf(range: PlaceholderRange): Promise<Embedding>;
}
