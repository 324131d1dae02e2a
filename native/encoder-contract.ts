// Types of a vision or speech tower: its options, its description, its items and its results.

import type { DeviceId, Quantize, WeightDtype } from './device-contract.ts';
import type { WeightsCacheReport } from './load-contract.ts';
import type { SharedSegment } from './shared-memory-contract.ts';

export interface EncoderOptions {
  readonly modelDirectory: string;
  /** Modality of the tower to load; only this tower's tensors are read. */
  readonly modality: 'image' | 'audio';
  readonly device: DeviceId;
  /** Most threads on a CPU; unset: one for each core of the device. */
  readonly threads?: number | undefined;
  readonly weightDtype: WeightDtype;
  /**
   * Integers to which matrices are rounded at load; the embedding, norms and biases stay. Refused if
   * the checkpoint is quantized already. none by default.
   */
  readonly quantize?: Quantize;
  /**
   * float32 (default): activations are float32 throughout. bfloat16: inputs of matrix products are
   * rounded to bfloat16; residuals and accumulation stay float32.
   */
  readonly activationDtype?: 'float32' | 'bfloat16';
  /**
   * Folder in which packed weights are kept and from which they are mapped at the next load; none by
   * default.
   */
  readonly weightsCache?: string;
  /** Rows of at least this many bytes go to shared memory if it has room; unset: none do. */
  readonly minSharedBytes?: number;
  /**
   * Memory of the device for rows that other processes read there; 0 by default: none. Refused for a
   * device that has the memory of the host.
   */
  readonly rowPoolBytes?: number;
}

/** Memory of an encoder's device that holds rows, which other processes of this user may open. */
export interface RowPoolDescription {
  readonly numBytes: number;
  /** 64 bytes by which they open it. */
  readonly handle: Buffer;
  /** Name of the device that is the same in all processes. */
  readonly device: string;
}

export interface EncoderDescription {
  readonly modality: 'image' | 'audio';
  /** `glm4v_vision`, `vit` or `parakeet_encoder`. */
  readonly modelType: string;
  /** Width of an embedding row. */
  readonly hiddenSize: number;
  readonly weightDtype: Exclude<WeightDtype, 'auto'>;
  /** Integers to which `quantize` rounded the matrices, in words; '' without. */
  readonly quantization: string;
  readonly weightBytes: number;
  /** What became of `weightsCache`; null without. */
  readonly weightsCache: WeightsCacheReport | null;
  readonly loadMs: number;
  /** Files and members of the processor that are there and have no effect, each with the reason. */
  readonly unusedSettings: readonly string[];
  /** Sample rate that the speech tower reads, Hz; 0 for images. Other rates are resampled. */
  readonly sampleRateHz: number;
  /** Most rows that one item can give; 0 if the tower sets no bound. */
  readonly maxRows: number;
  /**
   * Most grid cells that are worth encoding together: more use the weights no better and take more
   * memory. An item with more cells is encoded alone.
   */
  readonly maxBatchCells: number;
  /** Null without `rowPoolBytes`, or if the driver lets processes share no memory. */
  readonly rowPool: RowPoolDescription | null;
  /** Why there is no row pool although `rowPoolBytes` asks for one; '' otherwise. */
  readonly rowPoolRefusal: string;
}

/**
 * Bounds of an image's size, pixels; null for the checkpoint's own. `volume` bounds frames × height ×
 * width as the checkpoint does, `area` bounds height × width; with `ignore` neither is read.
 */
export interface ImageOptions {
  readonly maxPixels: number | null;
  readonly minPixels: number | null;
  readonly maxPixelsMode: 'ignore' | 'volume' | 'area';
}

/** A decoded picture. */
export interface DecodedImage {
  readonly kind: 'image';
  /** `[height, width, 3]`, 8-bit RGB. */
  readonly rgb: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** A decoded recording. */
export interface DecodedAudio {
  readonly kind: 'audio';
  /** `[num_samples]`, mono, -1 to 1. */
  readonly samples: Float32Array;
  readonly sampleRateHz: number;
}

export type DecodedItem = DecodedImage | DecodedAudio;

/** Facts of an item that decide its number of rows. */
export type ItemFacts =
  | (Pick<DecodedImage, 'kind' | 'width' | 'height'> & { readonly options: ImageOptions })
  | { readonly kind: 'audio'; readonly numSamples: number; readonly sampleRateHz: number };

export interface ItemPlan {
  readonly numRows: number;
  /** Patches (1, h, w) of an image; (mel frames, 1, 1) of a recording. */
  readonly grid: { readonly t: number; readonly h: number; readonly w: number };
}

/** A decoded item and the grid from the plan of its facts. */
export type EncoderItem = DecodedItem &
  Pick<ItemPlan, 'grid'> & {
    /** Byte of the row pool at which its rows are to lie; absent: they come to the host. */
    readonly poolOffset?: number;
  };

/** Rows of an item in the row pool. */
export interface RowPlace {
  /** Byte of the pool at which they begin. */
  readonly poolOffset: number;
  readonly numRows: number;
}

/** An item that is preprocessed already: patches in merge order, or mel frames. */
export interface FeatureItem extends Pick<ItemPlan, 'grid'> {
  readonly kind: 'features';
  /** `[grid cells, feature values]`. */
  readonly values: Float32Array;
}

/** Rows in memory of the host. */
export interface HostRows {
  /** `[num_rows, hidden_size]`. */
  readonly rows: Float32Array;
  /** Where other processes find the rows, if they are in shared memory. */
  readonly shared?: SharedSegment;
}

/** What became of an item; `rows` is empty if the item had a `poolOffset`. */
export interface EncodedItem extends HostRows {
  readonly plan: ItemPlan;
  readonly preprocessUs: number;
  /** Time of tower and projector for the whole batch, microseconds. */
  readonly encodeUs: number;
}

/** Values of the stages for one item, for comparison with a reference implementation. */
export interface EncoderTrace extends EncodedItem {
  /** `[grid cells, feature values]`: patches in merge order, or mel frames. */
  readonly features: Float32Array;
  /** `[states, state_size]`, the tower's output; a ViT's class token comes first. */
  readonly states: Float32Array;
}

/**
 * A loaded tower. The addon implements it; services take this interface, so that tests can replace
 * it.
 */
export interface MediaEncoder {
  readonly description: EncoderDescription;
  /**
   * Returns rows and grid of an item before it is decoded; refuses an item that cannot be encoded.
   */
  plan(facts: ItemFacts): ItemPlan;
  /**
   * Encodes items together, in one batch that the caller has decided on. The promises are in the
   * order of `items`, and each settles on its own: an item that cannot be encoded rejects alone. An
   * aborted signal rejects the item at once with the signal's reason, and stops its work within a
   * layer. Pixels and samples are read until that work ends.
   */
  encode(
    items: readonly EncoderItem[],
    options?: { readonly signals?: readonly (AbortSignal | undefined)[] },
  ): readonly Promise<EncodedItem>[];
  /** Copies rows out of the row pool, behind all that was asked for before. */
  readRows(place: RowPlace): Promise<HostRows>;
  /** Stops running work within a layer and frees the weights. */
  close(): Promise<void>;
}

/** A tower of this addon, which can also return the values of its stages. */
export interface LoadedEncoder extends MediaEncoder {
  trace(item: EncoderItem | FeatureItem): Promise<EncoderTrace>;
}

/** A picture and the size to which it is resized. */
export interface ResizeRequest {
  /** `[height, width, 3]`, 8-bit RGB. */
  readonly rgb: Uint8Array;
  readonly height: number;
  readonly width: number;
  readonly toHeight: number;
  readonly toWidth: number;
}
