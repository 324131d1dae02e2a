/**
 * Limits the next token of one sequence by the tokens before it, as a grammar does. The sampler state
 * asks it for each position and tells it each token, on resume the delivered ones too; preemption
 * does not touch it.
 */
export interface TokenConstraint {
  /**
   * `[ceil(vocab_size / 32)]`: token i may come next if bit `i % 32` of word `floor(i / 32)` is set;
   * undefined: any may. Valid until the next `accept`. It leaves at least one token of the vocabulary.
   */
  mask(): Uint32Array | undefined;
  /** Moves on by the token that came. */
  accept(tokenId: number): void;
}
