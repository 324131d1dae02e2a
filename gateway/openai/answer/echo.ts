import type { CandidateToken } from '#protos/autoglm/llm/v1/llm_backbone.ts';

/** A prompt to be repeated before its choices. */
export interface Echo {
  readonly text: string;
  /**
   * The prompt's first token, which has no log-probability; set if the echo has log-probabilities.
   */
  readonly firstToken: CandidateToken | undefined;
}
