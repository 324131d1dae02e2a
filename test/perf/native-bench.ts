import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { type DecodedItem, type Decoder, type EncoderOptions, loadEncoder } from '#native';
import { writeGlm4vCheckpoint } from '#test/checkpoint/glm4v-checkpoint.ts';
import { PHONE_NANO, readMedia } from '#test/e2e/request/phone-cases.ts';
import { screenshot } from '#test/e2e/request/screenshot.ts';
import { plannedItem } from '#test/planned-item.ts';
import { loadBenchDecoder } from './bench-decoder.ts';
import { type BenchStep, benchPlan } from './bench-plan.ts';
import { decodeBytes, productsOf } from './decoder-bench.ts';
import { DECODER_SHAPES, headParameters, layerParameters } from './decoder-shapes.ts';
import { type Figure, medianOf } from './figure.ts';
import type { MachinePeak } from './machine-peak.ts';
import { GLM4V_TOWER, glm4vFlops } from './tower-flops.ts';

const SHAPE = { ...DECODER_SHAPES['glm4-9b'], numLayers: 4 };
const BLOCK_SIZE = 16;
const CONTEXT = 512;
const LONG_CONTEXT = 8192;
const CHUNK = 512;
const NUM_SEQUENCES = 16;
const NUM_ROUNDS = 5;
const SAMPLE_RATE_HZ = 16_000;

/** Numbers of a tower whose checkpoint has bfloat16, as an encoder chooses them. */
const AS_SERVED = { weightDtype: 'auto', activationDtype: 'bfloat16' } as const;

/** Blocks of the vision tower that are built; the others of its 24 would only repeat them. */
const VISION_BLOCKS = 2;
/** Patches of a screenshot of 1080 × 2400. */
const GRID = { height: 172, width: 78 } as const;
const PATCH_SIZE = 14;

const step = (shape: Omit<BenchStep, 'blockSize'>): BenchStep => ({
  ...shape,
  blockSize: BLOCK_SIZE,
});

const STEPS = {
  one: step({ numSequences: 1, numTokens: 1, numCached: CONTEXT }),
  many: step({ numSequences: NUM_SEQUENCES, numTokens: 1, numCached: CONTEXT }),
  prompt: step({ numSequences: 1, numTokens: CHUNK, numCached: 0 }),
  late: step({ numSequences: 1, numTokens: CHUNK, numCached: LONG_CONTEXT - CHUNK }),
} as const;

const FORMATS = ['none', 'int8', 'int4'] as const;
type Format = (typeof FORMATS)[number];

const NAMES = { none: 'bfloat16', int8: 'int8', int4: 'int4' } as const satisfies Record<
  Format,
  string
>;

/**
 * Measures the work of the engine that decides how fast answers come, each beside the limit of the
 * machine in the same run: bytes that must be read, or operations that must be done.
 */
export async function* benchNative(device: string, peak: MachinePeak): AsyncGenerator<Figure[]> {
  for (const format of FORMATS) {
    const decoder = await loadBenchDecoder(SHAPE, Object.values(STEPS), {
      device,
      quantize: format,
    });
    try {
      yield await decoderFigures(decoder, format, peak);
    } finally {
      await decoder.close();
    }
  }
  yield await visionFigures(device, peak);
  yield await phoneTowerFigures();
}

async function decoderFigures(
  decoder: Decoder,
  format: Format,
  peak: MachinePeak,
): Promise<Figure[]> {
  const seconds = async (one: BenchStep) => {
    const plan = benchPlan(one);
    return await medianOf(NUM_ROUNDS, async () => (await decoder.execute(plan)).forwardUs / 1e6);
  };
  const [one, many] = [await seconds(STEPS.one), await seconds(STEPS.many)];
  const prompt = await seconds(STEPS.prompt);
  const name = `GLM-4-9B, ${SHAPE.numLayers} layers, ${NAMES[format]}`;
  const products = productsOf(format, peak);
  const promptFlops = 2 * (layerParameters(SHAPE) * CHUNK + headParameters(SHAPE));
  const figures: Figure[] = [
    decodeFigure(`decode, ${name}`, { seconds: one, numSequences: 1, format }, peak),
    decodeFigure(
      `decode, ${name}, ${NUM_SEQUENCES} at once`,
      { seconds: many, numSequences: NUM_SEQUENCES, format },
      peak,
    ),
    { name: '  token rate, against one', value: (NUM_SEQUENCES * one) / many, unit: '×' },
    {
      name: `prefill of ${CHUNK}, ${name}`,
      value: CHUNK / prompt,
      unit: 'tokens/s',
      work: { flops: promptFlops },
      limit: { name: products.name, share: promptFlops / prompt / products.peak },
    },
  ];
  if (format !== 'none') return figures;
  const late = (await seconds(STEPS.late)) - prompt;
  const { numLayers, numAttentionHeads, headDim } = SHAPE;
  const numScores = CHUNK * STEPS.late.numCached;
  const flops = 4 * numLayers * numAttentionHeads * headDim * numScores;
  const attention: Figure = {
    name: `attention of ${CHUNK} to ${STEPS.late.numCached} before them, prefill`,
    value: flops / late / 1e12,
    unit: 'TFLOP/s',
    work: { flops },
    limit: { name: products.name, share: flops / late / products.peak },
  };
  return [...figures, attention];
}

function decodeFigure(
  name: string,
  { seconds, numSequences, format }: DecodeTime,
  peak: MachinePeak,
): Figure {
  const step = { quantize: format, batch: numSequences, context: CONTEXT } as const;
  const bytes = decodeBytes(SHAPE, { ...step, kvCacheDtype: 'auto' });
  const share = bytes / seconds / peak.bytesPerSecond;
  const limit = { name: 'memory read', share };
  return { name, value: 1000 * seconds, unit: 'ms', work: { bytes }, limit };
}

interface DecodeTime {
  readonly seconds: number;
  readonly numSequences: number;
  readonly format: Format;
}

async function visionFigures(device: string, peak: MachinePeak): Promise<Figure[]> {
  const directory = await mkdtemp(join(tmpdir(), 'autoglm-bench-'));
  try {
    await writeGlm4vCheckpoint(directory, { ...GLM4V_TOWER, visionBlocks: VISION_BLOCKS });
    const size = { width: GRID.width * PATCH_SIZE, height: GRID.height * PATCH_SIZE };
    const rgb = Buffer.alloc(3 * size.width * size.height, 0x55);
    const options = { modelDirectory: directory, modality: 'image', device } as const;
    const seconds = await secondsOfTower(
      { ...options, ...AS_SERVED },
      { kind: 'image', rgb, ...size },
    );
    const flops = glm4vFlops(GRID.height * GRID.width, VISION_BLOCKS);
    const { name, peak: most } = productsOf('none', peak);
    return [
      {
        name: `vision tower, GLM-4.1V, ${GRID.height}×${GRID.width}, ${VISION_BLOCKS} blocks`,
        value: flops / seconds / 1e12,
        unit: 'TFLOP/s',
        work: { flops },
        limit: { name, share: flops / seconds / most },
      },
    ];
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Measures the towers of phone-nano on one core. */
async function phoneTowerFigures(): Promise<Figure[]> {
  const image = sharp(await screenshot(1)).raw();
  const { data, info } = await image.toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  const speech = await readSpeech(2 * SAMPLE_RATE_HZ);
  const options = { modelDirectory: PHONE_NANO, device: 'cpu:0', ...AS_SERVED } as const;
  const seconds = {
    image: await secondsOfTower(
      { ...options, modality: 'image' },
      { kind: 'image', rgb: data, width, height },
    ),
    audio: await secondsOfTower(
      { ...options, modality: 'audio' },
      { kind: 'audio', samples: speech, sampleRateHz: SAMPLE_RATE_HZ },
    ),
  };
  return [
    { name: 'screenshot, phone-nano, one core', value: 1000 * seconds.image, unit: 'ms' },
    { name: '2 s of speech, phone-nano, one core', value: 1000 * seconds.audio, unit: 'ms' },
  ];
}

/** Returns samples of phone-nano's recordings, one after another. */
async function readSpeech(numSamples: number): Promise<Float32Array> {
  const files = ['media/audio78.wav', 'media/audio80.wav'].map(readMedia);
  const pcm = Buffer.concat(files.map((file) => file.subarray(44)));
  const samples = new Int16Array(new Uint8Array(pcm).buffer, 0, numSamples);
  return Float32Array.from(samples, (sample) => sample / 32_768);
}

/** Measures the median time of one item, seconds. */
async function secondsOfTower(options: EncoderOptions, item: DecodedItem): Promise<number> {
  const tower = await loadEncoder(options);
  try {
    return await medianOf(NUM_ROUNDS, async () => {
      const startedMs = performance.now();
      await Promise.all(tower.encode([plannedItem(tower, item)]));
      return (performance.now() - startedMs) / 1000;
    });
  } finally {
    await tower.close();
  }
}
