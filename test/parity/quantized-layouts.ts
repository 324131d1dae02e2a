import type { TensorEntry } from '#test/checkpoint/safetensors-file.ts';

/** A matrix of integers with scales: row r, input i stands for (q - zero point) * scale. */
export interface IntegerMatrix {
  readonly name: string;
  readonly rows: number;
  readonly depth: number;
  /** Inputs of a row that share a scale. */
  readonly groupSize: number;
  /** `[rows, depth]`, -8..7 or -128..127. */
  readonly values: Int8Array;
  /** `[rows, groups]`, exact in bfloat16 and float16. */
  readonly scales: Float32Array;
  /** `[rows, groups]`. */
  readonly zeroPoints: Int8Array;
}

/** Writes one matrix as a tool of quantization lays it out. */
export type Layout = (matrix: IntegerMatrix) => TensorEntry[];

function numGroups({ depth, groupSize }: IntegerMatrix): number {
  return depth / groupSize;
}

function at(values: ArrayLike<number>, index: number): number {
  return values[index] ?? Number.NaN;
}

/** Returns the floats for which a matrix stands: `[rows, depth]`. */
export function dequantized(matrix: IntegerMatrix): Float32Array {
  const { depth, groupSize, values, scales, zeroPoints } = matrix;
  return Float32Array.from(values, (value, i) => {
    const row = Math.floor(i / depth);
    const group = row * numGroups(matrix) + Math.floor((i % depth) / groupSize);
    return (value - at(zeroPoints, group)) * at(scales, group);
  });
}

/** Returns the bits of numbers that bfloat16 holds exactly. */
export function bfloat16(values: Float32Array): Uint16Array {
  return Uint16Array.from(new Uint32Array(values.slice().buffer), (word) => word >>> 16);
}

/** Returns the bits of normal numbers that float16 holds exactly. */
function float16(values: Float32Array): Uint16Array {
  return Uint16Array.from(new Uint32Array(values.slice().buffer), (word) => {
    const exponent = ((word >>> 23) & 0xff) - 112;
    return ((word >>> 16) & 0x8000) | (exponent << 10) | ((word >>> 13) & 0x3ff);
  });
}

/** Where numbers of a few bits go: `[outer, inner]` words, each with several numbers. */
interface Packing {
  readonly outer: number;
  readonly inner: number;
  readonly bits: number;
  /** Returns the number, offset to be positive, of place `nibble` in word `[o, i]`. */
  readonly valueAt: (o: number, i: number, place: number) => number;
}

function pack({ outer, inner, bits, valueAt }: Packing): Int32Array {
  return Int32Array.from({ length: outer * inner }, (_, index) => {
    let word = 0;
    for (let place = 0; place < 32 / bits; place++) {
      const value = valueAt(Math.floor(index / inner), index % inner, place);
      word |= (value & ((1 << bits) - 1)) << (place * bits);
    }
    return word;
  });
}

function compressedScales(matrix: IntegerMatrix): TensorEntry {
  return {
    name: `${matrix.name}.weight_scale`,
    shape: [matrix.rows, numGroups(matrix)],
    values: () => bfloat16(matrix.scales),
  };
}

/** compressed-tensors `int-quantized`. */
export const intQuantized: Layout = (matrix) => [
  {
    name: `${matrix.name}.weight`,
    shape: [matrix.rows, matrix.depth],
    dtype: 'I8',
    values: () => matrix.values,
  },
  compressedScales(matrix),
  {
    name: `${matrix.name}.weight_zero_point`,
    shape: [matrix.rows, numGroups(matrix)],
    dtype: 'I8',
    values: () => matrix.zeroPoints,
  },
];

/** compressed-tensors `pack-quantized` of 4 or 8 bits, symmetric ones without zero points. */
export function packQuantized(bits: 4 | 8, symmetric: boolean): Layout {
  const perWord = 32 / bits;
  const offset = 2 ** (bits - 1);
  return (matrix) => {
    const { name, rows, depth, values, zeroPoints } = matrix;
    const groups = numGroups(matrix);
    const words = Math.ceil(depth / perWord);
    const packed: TensorEntry = {
      name: `${name}.weight_packed`,
      shape: [rows, words],
      dtype: 'I32',
      values: () =>
        pack({
          outer: rows,
          inner: words,
          bits,
          valueAt: (row, word, place) => at(values, row * depth + word * perWord + place) + offset,
        }),
    };
    const zeros: TensorEntry = {
      name: `${name}.weight_zero_point`,
      shape: [Math.ceil(rows / perWord), groups],
      dtype: 'I32',
      values: () =>
        pack({
          outer: Math.ceil(rows / perWord),
          inner: groups,
          bits,
          valueAt: (word, group, place) =>
            at(zeroPoints, (word * perWord + place) * groups + group) + offset,
        }),
    };
    const tensors = [packed, compressedScales(matrix)];
    return symmetric ? tensors : [...tensors, zeros];
  };
}

function transposedScales(matrix: IntegerMatrix): TensorEntry {
  const { name, rows, scales } = matrix;
  const groups = numGroups(matrix);
  const values = () =>
    float16(
      Float32Array.from({ length: groups * rows }, (_, i) =>
        at(scales, (i % rows) * groups + Math.floor(i / rows)),
      ),
    );
  return { name: `${name}.scales`, shape: [groups, rows], dtype: 'F16', values };
}

/** GPTQ; its first version stores zero points less one. */
export function gptq(lessOne: 0 | 1): Layout {
  return (matrix) => {
    const { name, rows, depth, groupSize, values, zeroPoints } = matrix;
    const groups = numGroups(matrix);
    const weights = pack({
      outer: depth / 8,
      inner: rows,
      bits: 4,
      valueAt: (word, row, place) => at(values, row * depth + 8 * word + place) + 8,
    });
    const zeros = pack({
      outer: groups,
      inner: rows / 8,
      bits: 4,
      valueAt: (group, word, place) =>
        at(zeroPoints, (8 * word + place) * groups + group) + 8 - lessOne,
    });
    const order = Int32Array.from({ length: depth }, (_, i) => Math.floor(i / groupSize));
    return [
      { name: `${name}.qweight`, shape: [depth / 8, rows], dtype: 'I32', values: () => weights },
      { name: `${name}.qzeros`, shape: [groups, rows / 8], dtype: 'I32', values: () => zeros },
      { name: `${name}.g_idx`, shape: [depth], dtype: 'I32', values: () => order },
      transposedScales(matrix),
    ];
  };
}

/** Columns of a word of AWQ, from its lowest bits. */
const AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7] as const;

/** AWQ, version `gemm`. */
export const awq: Layout = (matrix) => {
  const { name, rows, depth, values, zeroPoints } = matrix;
  const groups = numGroups(matrix);
  const column = (word: number, place: number) => 8 * word + at(AWQ_ORDER, place);
  const weights = pack({
    outer: depth,
    inner: rows / 8,
    bits: 4,
    valueAt: (input, word, place) => at(values, column(word, place) * depth + input) + 8,
  });
  const zeros = pack({
    outer: groups,
    inner: rows / 8,
    bits: 4,
    valueAt: (group, word, place) => at(zeroPoints, column(word, place) * groups + group) + 8,
  });
  return [
    { name: `${name}.qweight`, shape: [depth, rows / 8], dtype: 'I32', values: () => weights },
    { name: `${name}.qzeros`, shape: [groups, rows / 8], dtype: 'I32', values: () => zeros },
    transposedScales(matrix),
  ];
};

/** A matrix of FP8 with scales, and what it stands for. */
export interface Fp8Matrix {
  readonly name: string;
  readonly rows: number;
  readonly depth: number;
  /** `[rows, depth]`, E4M3 bits. */
  readonly bytes: Uint8Array;
  readonly scaleName: string;
  readonly scaleShape: readonly number[];
  readonly scales: Float32Array;
  /** Returns the index of the scale of an element. */
  readonly scaleOf: (row: number, input: number) => number;
}

/** Returns the number of E4M3 bits (https://arxiv.org/abs/2209.05433). */
function fromFp8(bits: number): number {
  const exponent = (bits >> 3) & 15;
  const mantissa = bits & 7;
  const size = exponent === 0 ? mantissa / 512 : (8 + mantissa) * 2 ** (exponent - 10);
  return bits < 128 ? size : -size;
}

export function fp8Tensors(matrix: Fp8Matrix): TensorEntry[] {
  const { name, rows, depth, bytes, scaleName, scaleShape, scales } = matrix;
  return [
    { name: `${name}.weight`, shape: [rows, depth], dtype: 'F8_E4M3', values: () => bytes },
    { name: `${name}.${scaleName}`, shape: scaleShape, dtype: 'F32', values: () => scales },
  ];
}

export function widened({ depth, bytes, scales, scaleOf }: Fp8Matrix): Float32Array {
  return Float32Array.from(bytes, (bits, i) => {
    return fromFp8(bits) * at(scales, scaleOf(Math.floor(i / depth), i % depth));
  });
}
