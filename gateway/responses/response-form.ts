import type { Metadata } from './metadata.ts';

type Json = Readonly<Record<string, unknown>>;

/** What an answer repeats of its request. */
export interface ResponseForm {
  readonly request: RepeatedFields;
  readonly metadata: Metadata;
  readonly tools: RepeatedTools;
  /** The format of the text as the request has it; undefined if it has none. */
  readonly format: Json | undefined;
  /** True if texts have log-probabilities. */
  readonly hasLogprobs: boolean;
}

/** The tools that the model may call, and the choice among them, in the form of a request. */
export interface RepeatedTools {
  readonly tools: readonly Json[];
  readonly toolChoice: Json | string;
}

/** Fields of a request that its answer has, too. */
interface RepeatedFields {
  readonly request_id?: string;
  readonly instructions?: string;
  readonly max_output_tokens?: number;
  readonly parallel_tool_calls?: boolean;
  readonly reasoning?: { readonly effort?: string | null };
  readonly temperature?: number;
  readonly top_logprobs?: number;
  readonly top_p?: number;
}
