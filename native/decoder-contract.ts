// Types of a decoder: its options, its description and its methods.

import type { DeviceId, Quantize, WeightDtype } from './device-contract.ts';
import type { WeightsCacheReport } from './load-contract.ts';
import type { MediaRows, StepPlan, StepResult } from './step-plan.ts';

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

/** Storage type of a KV cache, `--kv-cache-dtype`. */
export type KvCacheDtype = 'auto' | 'bfloat16' | 'float32' | 'int8';

/**
 * A KV cache that gets what is left of a share of each device's memory beside weights and all that the
 * largest step needs.
 */
export interface KvCacheShare {
  /** What the whole model may take, in (0, 1]. */
  readonly ofMemory: number;
  /** A cache of fewer tokens is refused. */
  readonly minTokens: number;
}

export interface DecoderOptions {
  /** A model directory, or a shape to be filled with random weights. */
  readonly model: { readonly directory: string } | { readonly random: RandomDecoderShape };
  /** Where it computes; a list: the ranks of a group, over which it is spread. */
  readonly device: DeviceId | readonly DeviceId[];
  /** Most threads on CPUs, all of a group together; unset: one for each core of a device. */
  readonly threads?: number | undefined;
  /** Type of the weights in memory; `auto` keeps the checkpoint's. */
  readonly weightDtype: WeightDtype;
  /**
   * Integers to which matrices are rounded at load; the embedding, norms and biases stay. Refused if
   * the checkpoint is quantized already. none by default.
   */
  readonly quantize?: Quantize;
  /** Whether `quantize` rounds the head too; true by default. */
  readonly quantizeHead?: boolean;
  /**
   * float32: activations are float32 throughout. bfloat16: inputs of matrix products are rounded to
   * bfloat16, or to int8 where the weights ask for it; residuals and accumulation stay float32.
   */
  readonly activationDtype: 'float32' | 'bfloat16';
  /**
   * Type of the KV cache; auto, the default, keeps what the products of `activationDtype` read. int8
   * has one scale for each token and KV head.
   */
  readonly kvCacheDtype?: KvCacheDtype;
  /**
   * Folder in which packed weights are kept and from which they are mapped at the next load; none by
   * default.
   */
  readonly weightsCache?: string;
  /** Tokens in a block of KV cache. */
  readonly blockSize: number;
  /** Memory for the KV cache on all devices together, in bytes; unset with `kvCacheShare` only. */
  readonly kvCacheBytes?: number;
  /** Where devices have memory of their own: what the cache gets of it once a step has run. */
  readonly kvCacheShare?: KvCacheShare;
  /** Most tokens one step may hold; sizes the workspace. */
  readonly maxNumBatchedTokens: number;
  /**
   * Memory of each device for rows of media that come from GPUs; 0 by default: none. Refused for devices
   * that have the memory of the host.
   */
  readonly rowPoolBytes?: number;
  /**
   * Launches the kernels of a GPU one by one in every step, instead of replaying CUDA graphs of steps
   * that decode; false by default.
   */
  readonly enforceEager?: boolean;
}

/** The row pool of an encoder's process, as that encoder describes it. */
export interface OpenedRowPool {
  readonly numBytes: number;
  /** 64 bytes. */
  readonly handle: Uint8Array;
}

/** Rows of an item on their way from an encoder's row pool to the decoder's; all places are bytes. */
export interface RowCopy {
  /** Number of the encoder's pool. */
  readonly source: number;
  readonly sourceOffset: number;
  readonly targetOffset: number;
  readonly numBytes: number;
}

/** Facts of a loaded decoder. */
export interface DecoderDescription {
  readonly modelType: string;
  readonly hiddenSize: number;
  readonly numLayers: number;
  /** Rows of the embedding and of the head; there may be more than the tokenizer has tokens. */
  readonly vocabSize: number;
  readonly maxPositionEmbeddings: number;
  readonly weightDtype: Exclude<WeightDtype, 'auto'>;
  /** Integers of the products' weights in words, such as `int4 in groups of 128`; '' without. */
  readonly quantization: string;
  /** On all devices together, as `kvCacheBytes`. */
  readonly weightBytes: number;
  /** What became of `weightsCache`, of a group that of the rank that fared worst; null without. */
  readonly weightsCache: WeightsCacheReport | null;
  readonly numBlocks: number;
  readonly blockSize: number;
  readonly kvCacheBytes: number;
  readonly kvCacheDtype: Exclude<KvCacheDtype, 'auto'>;
  /** Size of the row pool of each device. */
  readonly rowPoolBytes: number;
  /** Names of the devices whose row pools every rank can open; none without a row pool. */
  readonly reachableDevices: readonly string[];
  /** How values of a group's devices meet, such as `peer access`; '' of a device alone. */
  readonly groupPath: string;
  readonly loadMs: number;
  /** Rotary frequencies per axis (t, h, w), or null if positions are one-dimensional. */
  readonly mropeSection: readonly [number, number, number] | null;
}

/** Hidden states and logits of a prompt, for comparison with a reference implementation. */
export interface DecoderTrace {
  /**
   * `[num_layers + 1]` of `[num_tokens, hidden_size]`: after the embedding and after each layer; the
   * last one is after the final norm.
   */
  readonly hidden: readonly Float32Array[];
  /** `[num_tokens, vocab_size]`. */
  readonly logits: Float32Array;
}

/** A loaded decoder. Services take this interface, so that tests can replace it. */
export interface Decoder {
  readonly description: DecoderDescription;
  /**
   * Runs one step on the decoder's own thread. Steps run in the order of the calls, so that a
   * caller may submit the next step while one runs. A refused plan (`INVALID_REQUEST`) changes
   * nothing. Typed arrays are read at the call, the rows of media until the promise settles.
   */
  execute(plan: StepPlan): Promise<StepResult>;
  /**
   * Opens the row pool of an encoder's process and returns its number. Rejects if a rank cannot: the
   * handle is this process's own, the encoder has ended, or its device is out of reach.
   */
  openRowPool(pool: OpenedRowPool): Promise<number>;
  /** Closes an encoder's row pool, behind all that was asked for before. */
  closeRowPool(source: number): Promise<void>;
  /**
   * Copies rows to the row pool of every device, behind all that was asked for before: a step that
   * reads what was there has ended by then, and one that is asked for afterwards finds them.
   */
  copyRows(copy: RowCopy): Promise<void>;
  /**
   * Runs a whole prompt of at most `maxNumBatchedTokens` tokens in a cache of its own. `positions`
   * is `[3, num_tokens]`; by default the positions are those of a text.
   */
  trace(
    tokenIds: Uint32Array,
    positions?: Int32Array,
    mediaRows?: readonly MediaRows[],
  ): Promise<DecoderTrace>;
  /**
   * Lets the running step end, rejects the waiting steps with `ENGINE_CLOSED`, and resolves when
   * thread and memory are gone.
   */
  close(): Promise<void>;
}
