// The typed facade over the native addon. Everything that computes (weights, kernels, forward
// passes, sampling) is behind these functions; nothing here decides.

import { addon } from './addon.ts';

/** Where weights live and kernels run: `cpu`, `cpu:0-1` (a set of cores) or `cuda:0`. */
export type DeviceId = string;

export type WeightDtype = 'auto' | 'float32' | 'bfloat16' | 'float16';

export interface DeviceDescription {
  readonly id: DeviceId;
  readonly name: string;
  readonly memoryBytes: number;
  /** Cores this process may run on; empty for a GPU. */
  readonly cores: readonly number[];
}

export type IsaLevel = 'reference' | 'avx2' | 'avx512' | 'amx';

export interface CpuFeatures {
  /** Level the kernels use in this process. */
  readonly isa: IsaLevel;
  /** Levels this machine can run, lowest first. */
  readonly supported: readonly IsaLevel[];
  /** Why `isa` was chosen, in words ("best supported", "AUTOGLM_ISA=avx2"). */
  readonly reason: string;
}

/** Shape of a decoder with random weights, for benches. */
export interface RandomDecoderShape {
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  readonly intermediateSize: number;
  readonly vocabSize: number;
  readonly maxPositionEmbeddings: number;
}

export interface DecoderOptions {
  /** A model directory, or a shape to be filled with random weights. */
  readonly model: { readonly directory: string } | { readonly random: RandomDecoderShape };
  readonly device: DeviceId;
  /** In-memory weight type; `auto` keeps the checkpoint's. */
  readonly weightDtype: WeightDtype;
  /**
   * float32: activations are float32 throughout. bfloat16: inputs of matrix products and the KV
   * cache are rounded to bfloat16; residuals and accumulation stay float32.
   */
  readonly activationDtype: 'float32' | 'bfloat16';
  /** Tokens in a block of KV cache. */
  readonly blockSize: number;
  /** Memory for the KV cache; decides `numBlocks`. */
  readonly kvCacheBytes: number;
  /** Most tokens one step may hold; sizes the workspace. */
  readonly maxNumBatchedTokens: number;
}

/** Facts of a loaded decoder. */
export interface DecoderDescription {
  readonly modelType: string;
  readonly hiddenSize: number;
  readonly numLayers: number;
  /** Rows of the embedding and head; may exceed the tokenizer's size. */
  readonly vocabSize: number;
  readonly maxPositionEmbeddings: number;
  readonly weightDtype: Exclude<WeightDtype, 'auto'>;
  readonly weightBytes: number;
  readonly numBlocks: number;
  readonly blockSize: number;
  readonly kvCacheBytes: number;
  readonly loadMs: number;
  /** Rotary frequencies per axis (t, h, w), or null where positions are one-dimensional. */
  readonly mropeSection: readonly [number, number, number] | null;
}

/**
 * One engine step as plain data. All arrays are read-only while the step runs.
 *
 * Tokens of all sequences stand one after another; sequence s owns tokens
 * `queryStarts[s] .. queryStarts[s+1]-1`. A row's result never depends on the other rows of the
 * plan nor on how its prompt was cut into chunks: bit for bit the same.
 */
export interface StepPlan {
  /** `[num_tokens]`; at media rows the value is ignored. */
  readonly tokenIds: Uint32Array;
  /** `[3, num_tokens]`: rotary positions t, h, w (equal for text). */
  readonly positions: Int32Array;
  /** `[num_tokens]`: slot of each token's key and value, `block * blockSize + offset`. */
  readonly slotMapping: Int32Array;
  /** `[num_sequences + 1]`. */
  readonly queryStarts: Int32Array;
  /** `[num_sequences]`: tokens in the cache after this step, this step's included. */
  readonly contextLens: Int32Array;
  /** `[num_sequences, maxBlocksPerSequence]`, row-major, unused entries -1. */
  readonly blockTables: Int32Array;
  readonly maxBlocksPerSequence: number;
  /** Embedding rows that replace token embeddings. */
  readonly mediaRows: readonly MediaRows[];
  /** Rows whose logits are wanted, in order of the result. */
  readonly outputs: readonly StepOutput[];
}

export interface MediaRows {
  /** First token (index within this step) the rows replace; they replace consecutive tokens. */
  readonly firstToken: number;
  readonly numRows: number;
  readonly dtype: 'float32' | 'bfloat16';
  /** `[num_rows, hidden_size]` of `dtype`, little-endian. */
  readonly rows: Uint8Array;
}

/** What is wanted of one token row: a sampled next token, or the log-probability of a given one. */
export interface StepOutput {
  /** Index of the token within the step. */
  readonly token: number;
  /** Sample with these parameters, or score `targetToken`. */
  readonly sample: SampleParams | null;
  /** Token to score where `sample` is null. */
  readonly targetToken: number;
  /** -1: no log-probabilities; 0..20: of the token and of this many alternatives. */
  readonly numLogprobs: number;
}

/**
 * Order of application, as in vLLM: allowed and forbidden ids, logit bias, repetition, frequency and
 * presence penalties, temperature, min-p, top-k, top-p. Log-probabilities are those of the raw
 * logits.
 */
export interface SampleParams {
  /** 0 is greedy: ties go to the lowest id. */
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
  /** Null: all allowed. */
  readonly allowedTokenIds: Uint32Array | null;
  /** Without effect where they would leave none of `allowedTokenIds`. */
  readonly forbiddenTokenIds: Uint32Array;
}

/** Results in the order of `StepPlan.outputs`. */
export interface StepResult {
  /** `[num_outputs]`: the sampled or scored token. */
  readonly tokenIds: Uint32Array;
  /** `[num_outputs]`: natural-log probability of that token; NaN where not asked for. */
  readonly logprobs: Float32Array;
  /** `[num_outputs]`: its rank, 1 for the likeliest; 0 where not asked for. */
  readonly ranks: Uint32Array;
  /** `[num_outputs, maxTop]`, best first; only the first `numLogprobs` of a row count. */
  readonly topTokenIds: Uint32Array;
  readonly topLogprobs: Float32Array;
  readonly maxTop: number;
  /** Time inside the forward pass and sampling, microseconds. */
  readonly forwardUs: number;
}

/** What a prompt does to a decoder, for comparison with a reference implementation. */
export interface DecoderTrace {
  /**
   * `[num_layers + 1]` of `[num_tokens, hidden_size]`: after the embedding and after each layer; the
   * last one is after the final norm.
   */
  readonly hidden: readonly Float32Array[];
  /** `[num_tokens, vocab_size]`. */
  readonly logits: Float32Array;
}

/** A loaded decoder. Services take this interface, so that tests can fake it. */
export interface Decoder {
  readonly description: DecoderDescription;
  /**
   * Runs one step on the decoder's own thread. Steps run in the order of the calls, so the next one
   * may be handed over while one runs. A refused plan (`INVALID_REQUEST`) changes nothing; typed
   * arrays are read at the call, the rows of media until the promise settles.
   */
  execute(plan: StepPlan): Promise<StepResult>;
  /**
   * Runs a whole prompt, of at most `maxNumBatchedTokens`, in a cache of its own. `positions` is
   * `[3, num_tokens]` and by default that of a text.
   */
  trace(
    tokenIds: Uint32Array,
    positions?: Int32Array,
    mediaRows?: readonly MediaRows[],
  ): Promise<DecoderTrace>;
  /**
   * Lets the running step end, rejects the waiting ones with `ENGINE_CLOSED`, and resolves when
   * thread and memory are gone.
   */
  close(): Promise<void>;
}

/** What this machine offers, the CPU first. */
export function devices(): readonly DeviceDescription[] {
  return addon().devices();
}

/** Level of the CPU kernels; throws where `AUTOGLM_ISA` names one that is unknown or unavailable. */
export function cpuFeatures(): CpuFeatures {
  return addon().cpuFeatures();
}

export { loadDecoder } from './decoder.ts';
export type * from './encoder.ts';
export { loadEncoder } from './encoder.ts';
export { EngineError, type EngineErrorReason } from './engine-error.ts';
export { type ResizeRequest, resizeImage } from './image.ts';
