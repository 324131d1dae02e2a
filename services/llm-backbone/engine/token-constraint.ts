/**
 * Limits the next token of one sequence by the tokens before it, as a grammar does. The sampler
 * state asks it for each position and reports each token to it, delivered ones included on resume.
 * Preemption does not change it.
 */
export interface TokenConstraint {
  /**
   * Returns `[ceil(vocab_size / 32)]` words: token i may come next if bit `i % 32` of word `floor(i
   * / 32)` is set; undefined if any token may. Valid until the next `accept`. The mask leaves at
   * least one token of the vocabulary.
   */
  mask(): Uint32Array | undefined;
  /** Advances by the token that was chosen. */
  accept(tokenId: number): void;
}
