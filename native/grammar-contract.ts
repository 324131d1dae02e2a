/** The texts of a vocabulary's tokens. */
export interface TokenTrieOptions {
  /** Token i has the bytes `starts[i] .. starts[i + 1] - 1`; one without bytes is in no text. */
  readonly bytes: Uint8Array;
  /** `[num_tokens + 1]`. */
  readonly starts: Uint32Array;
  /** Rows of the decoder's head, at least the number of tokens. */
  readonly numLogits: number;
}

/**
 * A grammar of bytes as automata that call each other, one for each rule. A call enters a rule at its
 * start and goes on at a target when that rule ends. No called rule takes the empty text, and none
 * calls itself before it has taken a byte.
 */
export interface Automaton {
  readonly start: number;
  /** Number of classes of bytes that all transitions treat alike. */
  readonly numClasses: number;
  /** `[256]`. */
  readonly classOf: Uint8Array;
  /** `[num_states, num_classes]`: the next state, or -1. */
  readonly transitions: Int32Array;
  /** `[num_states]`: 1 where the rule may end. */
  readonly isFinal: Uint8Array;
  /** `[num_states + 1]`: the calls of state s are `callStarts[s] .. callStarts[s + 1] - 1`. */
  readonly callStarts: Uint32Array;
  /** `[num_calls, 2]`: start state of the rule that is called, state after it. */
  readonly calls: Uint32Array;
}

export interface TokenTrie {
  /**
   * Compiles a grammar in a thread; rejects with INVALID_REQUEST what is no automaton, or can be read
   * in too many ways. It takes up to about a second: what is not ready by then is computed when it is
   * needed.
   */
  compile(automaton: Automaton): Promise<Grammar>;
}

export interface Grammar {
  /** Memory that it takes. */
  readonly numBytes: number;
  createMatcher(): Matcher;
}

/** Follows one text of a grammar token by token. */
export interface Matcher {
  /** Whether the text may end here. */
  readonly isComplete: boolean;
  /** Goes on by a token; false, and without effect, if the grammar does not allow it. */
  accept(tokenId: number): boolean;
  /** Takes the last tokens back, at most 64; false if there are not as many. */
  rollBack(numTokens: number): boolean;
  /**
   * Sets the bits of the tokens that may come next in `[ceil(num_logits / 32)]` words, and clears the
   * others: token i is bit `i % 32` of word `floor(i / 32)`. Takes some 3 ms at most, and 20 more the
   * first time in a part of the grammar: where that is not enough, for so many ways to read the text,
   * it sets none.
   */
  fillMask(words: Uint32Array): void;
}
