import { open } from 'node:fs/promises';

const BYTES_PER_VALUE = 2;

/** A bfloat16 tensor to be written. */
export interface TensorEntry {
  readonly name: string;
  readonly shape: readonly number[];
  /** Returns its values, row-major, as bfloat16 bits; called just before the tensor is written. */
  readonly values: () => Uint16Array;
}

/** Writes tensors one after another, so that a file may be larger than memory. */
export async function writeSafetensors(
  path: string,
  entries: readonly TensorEntry[],
): Promise<void> {
  let offset = 0;
  const header: Record<string, unknown> = {};
  for (const { name, shape } of entries) {
    const end = offset + numValues(shape) * BYTES_PER_VALUE;
    header[name] = { dtype: 'BF16', shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = Buffer.from(JSON.stringify(header));
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
