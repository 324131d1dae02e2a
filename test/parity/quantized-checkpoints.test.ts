import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Decoder, type DecoderOptions, devices, loadDecoder } from '#native';
import { type TensorEntry, writeSafetensors } from '#test/checkpoint/safetensors-file.ts';
import { engineRefusal } from '#test/refusal.ts';
import { seededRandom } from '#test/seeded-random.ts';
import {
  CASES,
  CONFIG,
  compressed,
  floats,
  integerPair,
  MATRICES,
  plainTensors,
  randomMatrix,
  SYMMETRIC,
  VOCAB_SIZE,
} from './quantized-cases.ts';
import {
  dequantized,
  gptq,
  type IntegerMatrix,
  intQuantized,
  packQuantized,
} from './quantized-layouts.ts';
import { errorRow } from './report.ts';

const [first, second] = devices()[0]?.cores ?? [];
const GROUP = [`cpu:${first}`, `cpu:${second}`];
const SKIP_GROUP = second === undefined && 'this process has one core';

const PROMPT = Uint32Array.from([3, 141, 59, 26, 53, 58, 97, 93, 238, 46]);

describe('a quantized checkpoint', () => {
  let root = '';
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'autoglm-quantized-'));
  });
  after(() => rm(root, { recursive: true }));

  async function write(
    name: string,
    tensors: readonly TensorEntry[],
    quantization: object | null,
  ): Promise<string> {
    const directory = join(root, name.replaceAll(/\W+/g, '-'));
    await mkdir(directory, { recursive: true });
    const config = { ...CONFIG, quantization_config: quantization };
    await writeFile(join(directory, 'config.json'), JSON.stringify(config));
    await writeSafetensors(join(directory, 'model.safetensors'), [...tensors, ...plainTensors()]);
    return directory;
  }

  for (const { name, config, pair, quantization } of CASES) {
    it(`gives the logits and tokens of its floats: ${name}`, async () => {
      const { stored, plain } = pair();
      const quantized = await load(await write('stored', stored, config));
      const reference = await load(await write('plain', plain, null));
      try {
        assert.equal(quantized.description.quantization, quantization);
        await assertSame(quantized, reference);
      } finally {
        await quantized.close();
        await reference.close();
      }
    });

    it(`gives them on a group of two devices too: ${name}`, { skip: SKIP_GROUP }, async () => {
      const { stored, plain } = pair();
      const group = await load(await write('stored', stored, config), { device: GROUP });
      const reference = await load(await write('plain', plain, null));
      try {
        await assertSame(group, reference);
      } finally {
        await group.close();
        await reference.close();
      }
    });
  }

  it('may leave some of the matrices that are multiplied as one as they are', async () => {
    const random = seededRandom(5);
    const scheme = { bits: 4, groupSize: 32, zeroPoints: SYMMETRIC } as const;
    const matrices = MATRICES.map((matrix) => randomMatrix(matrix, scheme, random));
    const asFloats = (matrix: IntegerMatrix) =>
      floats(matrix.name, [matrix.rows, matrix.depth], dequantized(matrix));
    const stored = matrices.flatMap((matrix) =>
      matrix.name.endsWith('q_proj') ? [asFloats(matrix)] : packQuantized(4, true)(matrix),
    );
    const mixed = await load(await write('mixed', stored, compressed('pack-quantized')));
    const reference = await load(await write('plain', matrices.map(asFloats), null));
    try {
      await assertSame(mixed, reference);
    } finally {
      await mixed.close();
      await reference.close();
    }
  });

  const packed = (groupSize: number) => () =>
    integerPair(packQuantized(4, true), { bits: 4, groupSize, zeroPoints: SYMMETRIC }).stored;
  const without = (suffix: string) => () =>
    packed(32)().filter(({ name }) => !name.endsWith(suffix));
  const reordered = () =>
    integerPair(gptq(1), { bits: 4, groupSize: 32, zeroPoints: [0, 1] }).stored.map((entry) =>
      entry.name.endsWith('g_idx')
        ? { ...entry, values: () => Int32Array.from({ length: entry.shape[0] ?? 0 }, () => 1) }
        : entry,
    );
  const dynamic = { input_activations: { num_bits: 8, dynamic: true } };

  const refusals: readonly {
    readonly what: string;
    readonly config: object | null;
    readonly tensors: () => readonly TensorEntry[];
    readonly reason: 'UNSUPPORTED' | 'INVALID_CHECKPOINT';
    readonly message: RegExp;
    readonly options?: Partial<DecoderOptions>;
  }[] = [
    {
      what: 'another group size',
      config: compressed('pack-quantized'),
      tensors: packed(16),
      reason: 'UNSUPPORTED',
      message: /q_proj\.weight_packed": 8 groups of 128 inputs.*supported: groups of 32, 64 or 128/,
    },
    {
      what: 'a missing scale',
      config: compressed('pack-quantized'),
      tensors: without('o_proj.weight_scale'),
      reason: 'INVALID_CHECKPOINT',
      message: /o_proj\.weight_packed": has no "\S*o_proj\.weight_scale" beside it/,
    },
    {
      what: 'no configuration',
      config: null,
      tensors: packed(32),
      reason: 'INVALID_CHECKPOINT',
      message: /weight_packed": is quantized, but config\.json has no quantization_config/,
    },
    {
      what: 'a method that its tensors are not of',
      config: { quant_method: 'awq' },
      tensors: () => integerPair(gptq(1), { bits: 4, groupSize: 32, zeroPoints: [0, 1] }).stored,
      reason: 'INVALID_CHECKPOINT',
      message: /q_proj\.qweight": expected I32 \[128, 16\], found I32 \[16, 128\]/,
    },
    {
      what: 'groups in the order of activations',
      config: { quant_method: 'gptq', bits: 4 },
      tensors: reordered,
      reason: 'UNSUPPORTED',
      message: /q_proj\.g_idx": groups in the order of activations/,
    },
    {
      what: 'zero points beside inputs of int8',
      config: compressed('int-quantized', dynamic),
      tensors: () =>
        integerPair(intQuantized, { bits: 8, groupSize: 'channel', zeroPoints: [1, 9] }).stored,
      reason: 'UNSUPPORTED',
      message: /q_proj\.weight": with inputs of int8/,
      options: { activationDtype: 'bfloat16' },
    },
  ];
  for (const { what, config, tensors, reason, message, options } of refusals) {
    it(`is refused by the tensor's name: ${what}`, async () => {
      const directory = await write('refused', tensors(), config);

      await assert.rejects(load(directory, options), engineRefusal(reason, message));
    });
  }

  it('is not quantized again', async () => {
    const directory = await write('refused', packed(32)(), compressed('pack-quantized'));

    await assert.rejects(
      load(directory, { quantize: 'int8' }),
      engineRefusal('INVALID_REQUEST', /the checkpoint is quantized already/),
    );
  });
});

function load(directory: string, options: Partial<DecoderOptions> = {}): Promise<Decoder> {
  return loadDecoder({
    model: { directory },
    device: 'cpu',
    weightDtype: 'float32',
    activationDtype: 'float32',
    blockSize: 16,
    kvCacheBytes: 4 * 1024 * 1024,
    maxNumBatchedTokens: 64,
    ...options,
  });
}

/** Asserts that two decoders give the same tokens, and almost the same logits. */
async function assertSame(decoder: Decoder, reference: Decoder): Promise<void> {
  const ours = await greedy(decoder);
  const expected = await greedy(reference);
  assert.deepEqual(ours.tokens, expected.tokens);
  const { relativeError } = errorRow('logits', ours.logits, expected.logits, 0);
  assert((relativeError ?? Number.NaN) < 1e-5, `relative error ${relativeError}`);
}

/** Continues the prompt by the likeliest tokens; also returns the last pass's logits. */
async function greedy(
  decoder: Decoder,
): Promise<{ readonly tokens: readonly number[]; readonly logits: Float32Array }> {
  const tokens = [...PROMPT];
  let logits: Float32Array = new Float32Array();
  for (let i = 0; i < 8; i++) {
    ({ logits } = await decoder.trace(Uint32Array.from(tokens)));
    const last = logits.subarray(logits.length - VOCAB_SIZE);
    tokens.push(last.indexOf(Math.max(...last)));
  }
  return { tokens: tokens.slice(PROMPT.length), logits };
}
