import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { RandomWeights } from './random-weights.ts';
import { type TensorEntry, writeSafetensors } from './safetensors-file.ts';

/** Folder from which tokenizer, template and preprocessing are copied. */
const TINY = join(PACKAGE_ROOT, 'test/testdata/glm4v-tiny');
const SMALL_FILES = [
  'chat_template.jinja',
  'generation_config.json',
  'preprocessor_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
];

/** Vocabulary size of the tokenizer above. */
const VOCAB_SIZE = 1490;
const MAX_POSITIONS = 32_768;
const PATCH_VALUES = [3, 2, 14, 14] as const;
const TABLE_POSITIONS = 24 * 24;

/** Sizes of a model of GLM-4.1V's kind. */
export interface Glm4vShape {
  readonly textLayers: number;
  readonly hiddenSize: number;
  readonly numHeads: number;
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  readonly intermediateSize: number;
  readonly visionBlocks: number;
  readonly visionHiddenSize: number;
  readonly visionHeads: number;
}

/** GLM-4.1V's architecture, narrow enough for a screenshot's 3,354 tokens in a test. */
export const NARROW_GLM4V: Glm4vShape = {
  textLayers: 2,
  hiddenSize: 256,
  numHeads: 4,
  numKeyValueHeads: 2,
  headDim: 64,
  intermediateSize: 512,
  visionBlocks: 2,
  visionHiddenSize: 128,
  visionHeads: 2,
};

/** Writes a checkpoint with random weights that a mesh can serve. */
export async function writeGlm4vCheckpoint(directory: string, shape: Glm4vShape): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const name of SMALL_FILES) await cp(join(TINY, name), join(directory, name));
  const config: unknown = JSON.parse(await readFile(join(TINY, 'config.json'), 'utf8'));
  await writeFile(join(directory, 'config.json'), JSON.stringify(sized(config, shape)));
  const weights = new RandomWeights(1);
  await writeSafetensors(join(directory, 'model.safetensors'), [
    ...textTensors(weights, shape),
    ...visionTensors(weights, shape),
  ]);
}

function sized(config: unknown, shape: Glm4vShape): object {
  const rotaryPairs = shape.headDim / 4;
  const side = Math.floor((3 * rotaryPairs) / 8);
  return {
    ...fields(config),
    dtype: 'bfloat16',
    text_config: {
      ...fields(fields(config)['text_config']),
      num_hidden_layers: shape.textLayers,
      hidden_size: shape.hiddenSize,
      num_attention_heads: shape.numHeads,
      num_key_value_heads: shape.numKeyValueHeads,
      head_dim: shape.headDim,
      intermediate_size: shape.intermediateSize,
      max_position_embeddings: MAX_POSITIONS,
      rope_parameters: {
        rope_type: 'default',
        rope_theta: 10_000,
        partial_rotary_factor: 0.5,
        mrope_section: [rotaryPairs - 2 * side, side, side],
      },
    },
    vision_config: {
      ...fields(fields(config)['vision_config']),
      depth: shape.visionBlocks,
      hidden_size: shape.visionHiddenSize,
      num_heads: shape.visionHeads,
      out_hidden_size: shape.hiddenSize,
      intermediate_size: shape.intermediateSize,
    },
  };
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
    ? Object.fromEntries(Object.entries(value))
    : {};
}

function textTensors(weights: RandomWeights, shape: Glm4vShape): TensorEntry[] {
  const { hiddenSize, intermediateSize, numHeads, numKeyValueHeads, headDim } = shape;
  const root = 'model.language_model';
  const layers = Array.from({ length: shape.textLayers }, (_, l) => {
    const layer = `${root}.layers.${l}`;
    const projections = [
      ['q_proj', numHeads * headDim],
      ['k_proj', numKeyValueHeads * headDim],
      ['v_proj', numKeyValueHeads * headDim],
    ] as const;
    return [
      ...projections.flatMap(([name, size]) => [
        weights.matrix(`${layer}.self_attn.${name}.weight`, [size, hiddenSize]),
        weights.bias(`${layer}.self_attn.${name}.bias`, size),
      ]),
      weights.matrix(`${layer}.self_attn.o_proj.weight`, [hiddenSize, numHeads * headDim]),
      weights.matrix(`${layer}.mlp.gate_up_proj.weight`, [2 * intermediateSize, hiddenSize]),
      weights.matrix(`${layer}.mlp.down_proj.weight`, [hiddenSize, intermediateSize]),
      ...['input', 'post_attention', 'post_self_attn', 'post_mlp'].map((norm) =>
        weights.ones(`${layer}.${norm}_layernorm.weight`, hiddenSize),
      ),
    ];
  });
  return [
    weights.matrix(`${root}.embed_tokens.weight`, [VOCAB_SIZE, hiddenSize]),
    ...layers.flat(),
    weights.ones(`${root}.norm.weight`, hiddenSize),
    weights.matrix('lm_head.weight', [VOCAB_SIZE, hiddenSize]),
  ];
}

function visionTensors(weights: RandomWeights, shape: Glm4vShape): TensorEntry[] {
  const { visionHiddenSize: width, hiddenSize, intermediateSize } = shape;
  const root = 'model.visual';
  const blocks = Array.from({ length: shape.visionBlocks }, (_, l) => {
    const block = `${root}.blocks.${l}`;
    return [
      weights.ones(`${block}.norm1.weight`, width),
      weights.ones(`${block}.norm2.weight`, width),
      weights.matrix(`${block}.attn.qkv.weight`, [3 * width, width]),
      weights.matrix(`${block}.attn.proj.weight`, [width, width]),
      // The MLP of a block is as wide as the language model.
      weights.matrix(`${block}.mlp.gate_proj.weight`, [hiddenSize, width]),
      weights.matrix(`${block}.mlp.up_proj.weight`, [hiddenSize, width]),
      weights.matrix(`${block}.mlp.down_proj.weight`, [width, hiddenSize]),
    ];
  });
  return [
    weights.matrix(`${root}.patch_embed.proj.weight`, [width, ...PATCH_VALUES]),
    weights.bias(`${root}.patch_embed.proj.bias`, width),
    weights.ones(`${root}.post_conv_layernorm.weight`, width),
    weights.matrix(`${root}.embeddings.position_embedding.weight`, [TABLE_POSITIONS, width]),
    ...blocks.flat(),
    weights.ones(`${root}.post_layernorm.weight`, width),
    weights.matrix(`${root}.downsample.weight`, [hiddenSize, width, 2, 2]),
    weights.bias(`${root}.downsample.bias`, hiddenSize),
    weights.matrix(`${root}.merger.proj.weight`, [hiddenSize, hiddenSize]),
    weights.ones(`${root}.merger.post_projection_norm.weight`, hiddenSize),
    weights.bias(`${root}.merger.post_projection_norm.bias`, hiddenSize),
    weights.matrix(`${root}.merger.gate_proj.weight`, [intermediateSize, hiddenSize]),
    weights.matrix(`${root}.merger.up_proj.weight`, [intermediateSize, hiddenSize]),
    weights.matrix(`${root}.merger.down_proj.weight`, [hiddenSize, intermediateSize]),
  ];
}
