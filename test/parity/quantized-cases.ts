import { RandomWeights } from '#test/checkpoint/random-weights.ts';
import type { TensorEntry } from '#test/checkpoint/safetensors-file.ts';
import { seededRandom } from '#test/seeded-random.ts';
import {
  awq,
  dequantized,
  type Fp8Matrix,
  fp8Tensors,
  gptq,
  type IntegerMatrix,
  intQuantized,
  type Layout,
  packQuantized,
  widened,
} from './quantized-layouts.ts';

export const VOCAB_SIZE = 264;
export const CONFIG = {
  model_type: 'glm4',
  dtype: 'float32',
  hidden_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 32,
  intermediate_size: 384,
  vocab_size: VOCAB_SIZE,
  max_position_embeddings: 256,
};

/** Every matrix that is quantized: name, rows and depth. */
export const MATRICES: readonly (readonly [string, number, number])[] = [0, 1].flatMap((i) => {
  const layer = `model.layers.${i}`;
  return [
    [`${layer}.self_attn.q_proj`, 128, 128],
    [`${layer}.self_attn.k_proj`, 64, 128],
    [`${layer}.self_attn.v_proj`, 64, 128],
    [`${layer}.self_attn.o_proj`, 128, 128],
    [`${layer}.mlp.gate_up_proj`, 768, 128],
    [`${layer}.mlp.down_proj`, 128, 384],
  ] as const;
});

/** The tensors that stay as they are. */
export function plainTensors(): TensorEntry[] {
  const weights = new RandomWeights(3);
  const perLayer = [0, 1].flatMap((i) => {
    const layer = `model.layers.${i}`;
    const norms = ['input', 'post_self_attn', 'post_attention', 'post_mlp'];
    return [
      ...norms.map((norm) => weights.ones(`${layer}.${norm}_layernorm.weight`, 128)),
      weights.bias(`${layer}.self_attn.q_proj.bias`, 128),
      weights.bias(`${layer}.self_attn.k_proj.bias`, 64),
      weights.bias(`${layer}.self_attn.v_proj.bias`, 64),
    ];
  });
  return [
    weights.matrix('model.embed_tokens.weight', [VOCAB_SIZE, 128]),
    weights.matrix('lm_head.weight', [VOCAB_SIZE, 128]),
    weights.ones('model.norm.weight', 128),
    ...perLayer,
  ];
}

interface IntegerScheme {
  readonly bits: 4 | 8;
  readonly groupSize: number | 'channel';
  /** Range of the zero points. */
  readonly zeroPoints: readonly [number, number];
}

export function randomMatrix(
  [name, rows, depth]: readonly [string, number, number],
  scheme: IntegerScheme,
  random: () => number,
): IntegerMatrix {
  const groupSize = scheme.groupSize === 'channel' ? depth : scheme.groupSize;
  const numScales = (rows * depth) / groupSize;
  const half = 2 ** (scheme.bits - 1);
  const [low, high] = scheme.zeroPoints;
  const integer = (from: number, to: number) => from + Math.floor(random() * (to - from + 1));
  return {
    name,
    rows,
    depth,
    groupSize,
    values: Int8Array.from({ length: rows * depth }, () => integer(-half, half - 1)),
    scales: Float32Array.from({ length: numScales }, () => (1 + integer(0, 7) / 8) / (8 * half)),
    zeroPoints: Int8Array.from({ length: numScales }, () => integer(low, high)),
  };
}

type Fp8Scales = 'tensor' | 'channel' | 'block';

function randomFp8(
  [name, rows, depth]: readonly [string, number, number],
  { kind, scaleName }: { readonly kind: Fp8Scales; readonly scaleName: string },
  random: () => number,
): Fp8Matrix {
  const blocks = [Math.ceil(rows / 128), Math.ceil(depth / 128)] as const;
  const scaleShape = { tensor: [1], channel: [rows, 1], block: [...blocks] }[kind];
  const scaleOf = (row: number, input: number) => {
    if (kind === 'tensor') return 0;
    return kind === 'channel' ? row : Math.floor(row / 128) * blocks[1] + Math.floor(input / 128);
  };
  // Numbers of magnitude 2^-9 to 2: exponents up to 7, subnormals among them.
  const bits = () => Math.floor(random() * 64) + (random() < 0.5 ? 128 : 0);
  const numScales = scaleShape.reduce((product, extent) => product * extent, 1);
  return {
    name,
    rows,
    depth,
    bytes: Uint8Array.from({ length: rows * depth }, bits),
    scaleName,
    scaleShape,
    scales: Float32Array.from({ length: numScales }, () => 0.1 + 0.1 * random()),
    scaleOf,
  };
}

export function floats(name: string, shape: readonly number[], values: Float32Array): TensorEntry {
  return { name: `${name}.weight`, shape, dtype: 'F32', values: () => values };
}

/** The same weights twice: as a tool stores them, and as floats. */
interface Pair {
  readonly stored: readonly TensorEntry[];
  readonly plain: readonly TensorEntry[];
}

export function integerPair(layout: Layout, scheme: IntegerScheme): Pair {
  const random = seededRandom(5);
  const matrices = MATRICES.map((matrix) => randomMatrix(matrix, scheme, random));
  return {
    stored: matrices.flatMap(layout),
    plain: matrices.map((matrix) =>
      floats(matrix.name, [matrix.rows, matrix.depth], dequantized(matrix)),
    ),
  };
}

function fp8Pair(kind: Fp8Scales, scaleName: string): Pair {
  const random = seededRandom(6);
  const matrices = MATRICES.map((matrix) => randomFp8(matrix, { kind, scaleName }, random));
  return {
    stored: matrices.flatMap(fp8Tensors),
    plain: matrices.map((matrix) =>
      floats(matrix.name, [matrix.rows, matrix.depth], widened(matrix)),
    ),
  };
}

export function compressed(format: string, members: object = {}): object {
  const group = { weights: { num_bits: format === 'pack-quantized' ? 4 : 8 } };
  return {
    quant_method: 'compressed-tensors',
    format,
    ignore: ['lm_head'],
    config_groups: { group_0: { ...group, ...members } },
  };
}

export const SYMMETRIC = [0, 0] as const;
const FLOAT = { weights: { num_bits: 8, type: 'float' } };

export const CASES: readonly {
  readonly name: string;
  readonly config: object;
  readonly pair: () => Pair;
  readonly quantization: string;
}[] = [
  ...([32, 64, 128, 'channel'] as const).flatMap((groupSize) =>
    [true, false].map((symmetric) => {
      const zeroPoints = symmetric ? SYMMETRIC : ([-8, 7] as const);
      const groups = groupSize === 'channel' ? '' : ` in groups of ${groupSize}`;
      return {
        name: `pack-quantized int4, ${groupSize}, ${symmetric ? 'symmetric' : 'asymmetric'}`,
        config: compressed('pack-quantized'),
        pair: () => integerPair(packQuantized(4, symmetric), { bits: 4, groupSize, zeroPoints }),
        quantization: `int4${groups}${symmetric ? '' : ' with zero points'}, head float32`,
      };
    }),
  ),
  {
    name: 'pack-quantized int8 in groups',
    config: compressed('pack-quantized'),
    pair: () =>
      integerPair(packQuantized(8, false), { bits: 8, groupSize: 64, zeroPoints: [-9, 9] }),
    quantization: 'int8 in groups of 64 with zero points, head float32',
  },
  {
    name: 'int-quantized int8, symmetric',
    config: compressed('int-quantized'),
    pair: () => integerPair(intQuantized, { bits: 8, groupSize: 'channel', zeroPoints: SYMMETRIC }),
    quantization: 'int8, head float32',
  },
  {
    name: 'int-quantized int8, asymmetric',
    config: compressed('int-quantized'),
    pair: () => integerPair(intQuantized, { bits: 8, groupSize: 'channel', zeroPoints: [-20, 20] }),
    quantization: 'int8 with zero points, head float32',
  },
  ...(['tensor', 'channel', 'block'] as const).map((kind) => ({
    name: `float-quantized FP8, a scale a ${kind}`,
    config: compressed('float-quantized', FLOAT),
    pair: () => fp8Pair(kind, 'weight_scale'),
    quantization: '',
  })),
  {
    name: 'FP8 of other tools',
    config: { quant_method: 'fp8', weight_block_size: [128, 128] },
    pair: () => fp8Pair('block', 'weight_scale_inv'),
    quantization: '',
  },
  {
    name: 'GPTQ with zero points',
    config: { quant_method: 'gptq', bits: 4, group_size: 128, desc_act: false, sym: false },
    pair: () => integerPair(gptq(1), { bits: 4, groupSize: 128, zeroPoints: [-7, 8] }),
    quantization: 'int4 in groups of 128 with zero points, head float32',
  },
  {
    name: 'GPTQ, symmetric, one scale a row',
    config: { quant_method: 'gptq', bits: 4, group_size: -1 },
    pair: () => integerPair(gptq(1), { bits: 4, groupSize: 'channel', zeroPoints: SYMMETRIC }),
    quantization: 'int4, head float32',
  },
  {
    name: 'GPTQ of the second version',
    config: { quant_method: 'gptq', bits: 4, group_size: 32, checkpoint_format: 'gptq_v2' },
    pair: () => integerPair(gptq(0), { bits: 4, groupSize: 32, zeroPoints: [-8, 7] }),
    quantization: 'int4 in groups of 32 with zero points, head float32',
  },
  {
    name: 'AWQ',
    config: { quant_method: 'awq', bits: 4, group_size: 128, version: 'gemm', zero_point: true },
    pair: () => integerPair(awq, { bits: 4, groupSize: 128, zeroPoints: [-8, 7] }),
    quantization: 'int4 in groups of 128 with zero points, head float32',
  },
];
