// Plain data of one engine step: the plan that a decoder runs, and the result that it returns.

import type { EngineError } from './engine-error.ts';

/**
 * One engine step as plain data, copied when it is given to a decoder; only the rows of media are not,
 * and are read-only while the step runs. The tokens of all sequences follow each other; sequence s
 * owns tokens `queryStarts[s] .. queryStarts[s+1]-1`. A
 * row's result depends neither on the other rows of the plan nor on how its prompt was cut into
 * chunks: it is the same bit for bit.
 */
export interface StepPlan {
  /** `[num_tokens]`; the value is ignored if a media row replaces the token. */
  readonly tokenIds: Uint32Array;
  /**
   * `[num_tokens]`: the output of the decoder's step before, which may still run, whose token this is;
   * the outputs at that token count it as generated. -1 where `tokenIds` has it; absent: it has all.
   */
  readonly previousOutputs?: Int32Array;
  /** `[3, num_tokens]`: rotary positions t, h, w (equal for text). */
  readonly positions: Int32Array;
  /** `[num_tokens]`: slot of each token's key and value, `block * blockSize + offset`. */
  readonly slotMapping: Int32Array;
  /** `[num_sequences + 1]`. */
  readonly queryStarts: Int32Array;
  /** `[num_sequences]`: tokens in the cache after this step, those of the step included. */
  readonly contextLens: Int32Array;
  /** `[num_sequences, maxBlocksPerSequence]`, row-major, unused entries -1. */
  readonly blockTables: Int32Array;
  readonly maxBlocksPerSequence: number;
  /** Embedding rows that replace token embeddings. */
  readonly mediaRows: readonly MediaRows[];
  /** Rows whose logits are computed, in the order of the result. */
  readonly outputs: readonly StepOutput[];
  /** Rows of the last hidden state that are summed up, in the order of the result; absent: none. */
  readonly pooledRows?: readonly PooledRows[];
}

/** Consecutive rows of the last hidden state, after the final norm, whose sum is wanted. */
export interface PooledRows {
  /** First token (index within this step). */
  readonly firstToken: number;
  readonly numRows: number;
  /**
   * `[hidden_size]`: what an earlier step returned for the rows before, and this one adds to, row by
   * row; so a sum has the same bits however its rows were cut into chunks. Absent: zeros.
   */
  readonly sum?: Float64Array;
}

/** Rows in memory of the host, or in the row pool of the decoder's devices. */
export type MediaRows = {
  /**
   * First token (index within this step) that the rows replace; they replace consecutive tokens.
   */
  readonly firstToken: number;
  readonly numRows: number;
} & (
  | {
      readonly dtype: 'float32' | 'bfloat16';
      /** `[num_rows, hidden_size]` of `dtype`, little-endian. */
      readonly rows: Uint8Array;
    }
  | {
      readonly dtype: 'float32';
      /** Byte of the row pool at which the rows `[num_rows, hidden_size]` begin. */
      readonly poolOffset: number;
    }
);

/** Output of one token row: a sampled next token, or the log-probability of a given one. */
export interface StepOutput {
  /** Index of the token within the step. */
  readonly token: number;
  /** Parameters to sample with; null to score `targetToken`. */
  readonly sample: SampleParams | null;
  /** Token to score if `sample` is null. */
  readonly targetToken: number;
  /** -1: no log-probabilities; 0..20: those of the token and of this many alternatives. */
  readonly numLogprobs: number;
}

/**
 * Parameters of sampling. They are applied in vLLM's order: mask of allowed tokens, forbidden ids,
 * logit bias, repetition, frequency and presence penalties, temperature, min-p, top-k, top-p.
 * Log-probabilities are those of the raw logits.
 */
export interface SampleParams {
  /** 0 is greedy: the lowest id wins among equals. */
  readonly temperature: number;
  /** 0 keeps all. */
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /**
   * Key of the random number: (seed, stream, position). `position` is the index of the token to be
   * sampled among the generated tokens; `stream` is the choice index.
   */
  readonly seed: bigint;
  readonly stream: number;
  readonly position: number;
  /** Ids at or above this are never chosen (padding rows of the vocabulary). */
  readonly vocabLimit: number;
  /** Distinct ids seen in prompt or output, for the repetition penalty. */
  readonly seenTokenIds: Uint32Array;
  /** Distinct generated ids and how often each was generated. */
  readonly generatedTokenIds: Uint32Array;
  readonly generatedCounts: Uint32Array;
  readonly biasTokenIds: Uint32Array;
  readonly biasValues: Float32Array;
  /** Without effect if they would leave none of `allowedTokens`. */
  readonly forbiddenTokenIds: Uint32Array;
  /**
   * `[ceil(vocab_size / 32)]`: token i is allowed if bit `i % 32` of word `i / 32` is set; absent:
   * no mask. If a mask leaves no token, its output fails.
   */
  readonly allowedTokens?: Uint32Array;
}

/** Reason why one output has no token; its values in the arrays are to be ignored. */
export interface OutputFailure {
  /** Index into `StepPlan.outputs`. */
  readonly output: number;
  /**
   * INVALID_REQUEST: sampling parameters are out of range or leave no token to choose.
   * ENGINE_FAILED: logits are not finite.
   */
  readonly error: EngineError;
}

/** Results in the order of `StepPlan.outputs`. */
export interface StepResult {
  /** `[num_outputs]`: the sampled or scored token. */
  readonly tokenIds: Uint32Array;
  /** `[num_outputs]`: natural-log probability of that token; NaN if not requested. */
  readonly logprobs: Float32Array;
  /** `[num_outputs]`: rank of that token, 1 for the likeliest; 0 if not requested. */
  readonly ranks: Uint32Array;
  /**
   * `[num_outputs, maxTop]`: the likeliest tokens, best first; only the first `numLogprobs` of a
   * row are valid.
   */
  readonly topTokenIds: Uint32Array;
  readonly topLogprobs: Float32Array;
  readonly maxTop: number;
  /** Outputs without a token, ascending; the other outputs are valid. */
  readonly failures: readonly OutputFailure[];
  /** `[hidden_size]` for each of `StepPlan.pooledRows`. */
  readonly pooledSums: readonly Float64Array[];
  /** Time inside the forward pass and sampling, microseconds. */
  readonly forwardUs: number;
  /** Time from the end of the decoder's step before to the start of this one, microseconds. */
  readonly idleUs: number;
}
