import { DType, type Tensor } from '#protos/autoglm/common/v1/tensor.ts';

/** How a pooled hidden state becomes an embedding. */
export interface EmbeddingForm {
  /** Numbers that are kept, the first ones; undefined: all. */
  readonly dimensions: number | undefined;
  /** Whether it is scaled to length 1. */
  readonly normalize: boolean;
}

/** Returns an embedding as float32 `[dimensions]`; null if its numbers are not finite. */
export function embeddingOf(
  pooled: Float64Array,
  { dimensions, normalize }: EmbeddingForm,
): Tensor | null {
  const kept = pooled.subarray(0, dimensions);
  const norm = normalize ? Math.sqrt(kept.reduce((sum, one) => sum + one * one, 0)) : 1;
  // A state of zeros has no direction, and stays as it is.
  const values = Float32Array.from(kept, (one) => (norm === 0 ? one : one / norm));
  if (!values.every(Number.isFinite)) return null;
  return { dtype: DType.D_TYPE_FLOAT32, shape: [values.length], data: littleEndian(values) };
}

function littleEndian(values: Float32Array): Buffer {
  const bytes = Buffer.alloc(values.byteLength);
  for (const [i, one] of values.entries()) bytes.writeFloatLE(one, 4 * i);
  return bytes;
}
