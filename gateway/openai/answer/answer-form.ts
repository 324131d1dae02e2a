/** How the client wants its answer written, beyond the text itself. */
export interface AnswerForm {
  readonly numChoices: number;
  /** Alternatives per sampled token; undefined: no log-probabilities. */
  readonly numLogprobs: number | undefined;
  /** The client asked for `prompt_logprobs`. */
  readonly hasPromptLogprobs: boolean;
  /** Write a token as `token_id:N` instead of its text. */
  readonly tokensAsIds: boolean;
  /** Add `token_ids` and `prompt_token_ids`. */
  readonly returnsTokenIds: boolean;
  /** Thoughts come apart from the content. */
  readonly splitsReasoning: boolean;
  readonly streamUsage: StreamUsage;
}

/** Where a stream carries usage. */
export interface StreamUsage {
  /** In a last chunk without choices. */
  readonly isFinal: boolean;
  /** In every chunk, as counted so far. */
  readonly isContinuous: boolean;
}
