/**
 * Limits the next token of one sequence by the tokens before it, as a grammar does. The sampler
 * state asks it for each position and reports each token to it, delivered ones included on resume.
 * Preemption does not change it.
 */
export interface TokenConstraint {
  /**
   * Returns what may follow `draftIds`, which may follow the tokens so far: `[ceil(vocab_size / 32)]`
   * words, token i may come next if bit `i % 32` of word `floor(i / 32)` is set; undefined if any token
   * may. Valid until the next `accept`, the masks of other drafts included. The mask leaves at least
   * one token of the vocabulary.
   */
  mask(draftIds: readonly number[]): Uint32Array | undefined;
  /** Returns how many of the drafted tokens may follow, from the first one on. */
  numAllowed(draftIds: readonly number[]): number;
  /** Advances by the token that was chosen. */
  accept(tokenId: number): void;
}
