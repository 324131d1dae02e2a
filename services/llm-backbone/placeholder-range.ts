/** Where one media item's embedding rows stand in a prompt, and the rows. */
export interface PlaceholderRange {
  /** Index of the first placeholder token in the prompt. */
  readonly firstToken: number;
  readonly numTokens: number;
  /** Hex SHA-256 of the item's bytes and how they were preprocessed. */
  readonly contentHash: string;
  readonly dtype: 'float32' | 'bfloat16';
  /** `[num_tokens, hidden_size]` of `dtype`, little-endian. */
  readonly rows: Uint8Array;
}
