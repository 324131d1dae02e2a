import type { CandidateToken } from '#protos/autoglm/llm/v1/llm_backbone.ts';

/** A prompt to be repeated before its choices. */
export interface Echo {
  readonly text: string;
  /** The prompt's first token where the echo has log-probabilities; it has none itself. */
  readonly firstToken: CandidateToken | undefined;
}
