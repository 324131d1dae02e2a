/** The form of an answer that the client asked for, besides the text itself. */
export interface AnswerForm {
  readonly numChoices: number;
  /** Number of alternatives per sampled token; undefined for no log-probabilities. */
  readonly numLogprobs: number | undefined;
  /** True if the client asked for `prompt_logprobs`. */
  readonly hasPromptLogprobs: boolean;
  /** True to write a token as `token_id:N` instead of its text. */
  readonly tokensAsIds: boolean;
  /** True to add `token_ids` and `prompt_token_ids`. */
  readonly returnsTokenIds: boolean;
  readonly reasoning: ReasoningForm;
  readonly streamUsage: StreamUsage;
}

/** Where thoughts go: into the content as the model wrote them, into a field, or nowhere. */
export type ReasoningForm = 'inline' | 'apart' | 'hidden';

/** The chunks of a stream that carry usage. */
export interface StreamUsage {
  /** True for a last chunk without choices. */
  readonly isFinal: boolean;
  /** True for every chunk, with the counts so far. */
  readonly isContinuous: boolean;
}
