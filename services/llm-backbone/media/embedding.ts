/** The embedding rows of one media item. */
export interface Embedding {
  readonly numRows: number;
  readonly dtype: 'float32' | 'bfloat16';
  /** `[num_rows, hidden_size]` of `dtype`, little-endian. */
  readonly rows: Uint8Array;
}
