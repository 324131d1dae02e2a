import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Decoder, loadDecoder, type Quantize } from '#native';
import { NARROW_GLM4V, writeGlm4vCheckpoint } from '#test/checkpoint/glm4v-checkpoint.ts';
import { benchPlan } from './bench-plan.ts';
import type { Figure } from './figure.ts';
import type { MachinePeak } from './machine-peak.ts';

/** A checkpoint of about 1.5 GB, nearly all of it matrices of the language model. */
const SHAPE = { ...NARROW_GLM4V, textLayers: 18, hiddenSize: 2048, intermediateSize: 6144 };
const BLOCK_SIZE = 16;
const FIRST_STEP = { numSequences: 1, numTokens: 1, numCached: 0, blockSize: BLOCK_SIZE };

interface Load {
  readonly seconds: number;
  /** Time of the first step, which touches every weight. */
  readonly firstStepS: number;
  /** Time of a later step. */
  readonly stepS: number;
  readonly weightBytes: number;
}

/**
 * Measures the time to load a checkpoint that is in the system's file cache: read and packed, written
 * to a weights cache too, and mapped from there, with the time of the first token behind it.
 */
export async function benchLoad(
  { quantize }: { readonly quantize: Quantize },
  peak: MachinePeak,
): Promise<Figure[]> {
  const root = await mkdtemp(join(tmpdir(), 'load-bench-'));
  try {
    const directory = join(root, 'model');
    await writeGlm4vCheckpoint(directory, SHAPE);
    const { size } = await stat(join(directory, 'model.safetensors'));
    const cache = { directory, quantize, weightsCache: join(root, 'cache') };
    await load({ directory, quantize });
    const read = await load({ directory, quantize });
    const written = await load(cache);
    const mapped = await load(cache);
    const bytes = size + read.weightBytes;
    const share = bytes / read.seconds / peak.bytesPerSecond;
    const limit = { name: 'memory read', share };
    const of = `${(size / 1e9).toFixed(2)} GB, ${quantize}`;
    return [
      {
        name: `load ${of}: read and packed`,
        value: bytes / read.seconds / 1e9,
        unit: 'GB/s',
        limit,
      },
      ...figures(`load ${of}`, read),
      ...figures(`load ${of}, written to a cache`, written),
      ...figures(`load ${of}, mapped`, mapped),
    ];
  } finally {
    await rm(root, { recursive: true });
  }
}

function figures(name: string, { seconds, firstStepS, stepS }: Load): Figure[] {
  return [
    { name, value: seconds * 1000, unit: 'ms' },
    { name: `${name}: to the first token`, value: (seconds + firstStepS) * 1000, unit: 'ms' },
    { name: `${name}: later step`, value: stepS * 1000, unit: 'ms' },
  ];
}

async function load(options: {
  readonly directory: string;
  readonly quantize: Quantize;
  readonly weightsCache?: string;
}): Promise<Load> {
  const { directory, ...others } = options;
  const startMs = performance.now();
  const decoder = await loadDecoder({
    ...others,
    model: { directory },
    device: 'cpu',
    weightDtype: 'auto',
    activationDtype: 'bfloat16',
    blockSize: BLOCK_SIZE,
    kvCacheBytes: 16 * 1024 * 1024,
    maxNumBatchedTokens: 64,
  });
  const seconds = (performance.now() - startMs) / 1000;
  try {
    const firstStepS = await secondsOfStep(decoder);
    const later = [await secondsOfStep(decoder), await secondsOfStep(decoder)];
    const { weightBytes } = decoder.description;
    return { seconds, firstStepS, stepS: Math.min(...later), weightBytes };
  } finally {
    await decoder.close();
  }
}

async function secondsOfStep(decoder: Decoder): Promise<number> {
  const startMs = performance.now();
  await decoder.execute(benchPlan(FIRST_STEP));
  return (performance.now() - startMs) / 1000;
}
