import { readFile } from 'node:fs/promises';

export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array | Int32Array;
}

/** Tensors of a `golden.safetensors` by name: float32 and int32, as the reference wrote them. */
export class GoldenTensors {
  readonly #tensors: ReadonlyMap<string, GoldenTensor>;

  static async read(path: string): Promise<GoldenTensors> {
    const file = await readFile(path);
    const headerBytes = Number(file.readBigUInt64LE());
    const header: unknown = JSON.parse(file.toString('utf8', 8, 8 + headerBytes));
    if (typeof header !== 'object' || header === null) throw new Error(`${path}: no header`);
    const data = file.subarray(8 + headerBytes);
    const entries = Object.entries(header).filter(([name]) => name !== '__metadata__');
    return new GoldenTensors(new Map(entries.map(([name, entry]) => [name, tensor(data, entry)])));
  }

  constructor(tensors: ReadonlyMap<string, GoldenTensor>) {
    this.#tensors = tensors;
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  get(name: string): GoldenTensor {
    const found = this.#tensors.get(name);
    if (found === undefined) throw new Error(`golden.safetensors has no "${name}"`);
    return found;
  }
}

function tensor(data: Buffer, entry: unknown): GoldenTensor {
  const isEntry =
    typeof entry === 'object' &&
    entry !== null &&
    'dtype' in entry &&
    'shape' in entry &&
    'data_offsets' in entry;
  if (!isEntry || !Array.isArray(entry.shape) || !Array.isArray(entry.data_offsets)) {
    throw new Error('golden.safetensors: bad header entry');
  }
  const [start, end] = entry.data_offsets.map(Number);
  // The bytes are copied, because a typed array needs an aligned start.
  const bytes = new Uint8Array(data.subarray(start, end)).buffer;
  switch (entry.dtype) {
    case 'F32':
      return { shape: entry.shape.map(Number), values: new Float32Array(bytes) };
    case 'I32':
      return { shape: entry.shape.map(Number), values: new Int32Array(bytes) };
    default:
      throw new Error(`golden.safetensors: dtype ${String(entry.dtype)} is not expected`);
  }
}
