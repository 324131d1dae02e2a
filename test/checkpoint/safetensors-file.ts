import { open } from 'node:fs/promises';

const BYTES_PER_VALUE = { BF16: 2, F16: 2, F32: 4, F8_E4M3: 1, I8: 1, I32: 4, I64: 8 } as const;

/** A tensor to be written. */
export interface TensorEntry {
  readonly name: string;
  readonly shape: readonly number[];
  /** Type of the values; bfloat16 by default. */
  readonly dtype?: keyof typeof BYTES_PER_VALUE;
  /** Returns its values, row-major, as the dtype's bits; called just before it is written. */
  readonly values: () => Uint16Array | Int8Array | Uint8Array | Int32Array | Float32Array;
}

/** Writes tensors one after another, so that a file may be larger than memory. */
export async function writeSafetensors(
  path: string,
  entries: readonly TensorEntry[],
): Promise<void> {
  let offset = 0;
  const header: Record<string, unknown> = {};
  for (const { name, shape, dtype = 'BF16' } of entries) {
    const end = offset + numValues(shape) * BYTES_PER_VALUE[dtype];
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = JSON.stringify(header);
  // Padded as the format's own writers do, so that the numbers are aligned.
  const text = Buffer.from(json.padEnd(Math.ceil(json.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = await open(path, 'w');
  try {
    await file.writeFile(Buffer.concat([length, text]));
    for (const { values } of entries) {
      const { buffer, byteOffset, byteLength } = values();
      await file.writeFile(new Uint8Array(buffer, byteOffset, byteLength));
    }
  } finally {
    await file.close();
  }
}

export function numValues(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
