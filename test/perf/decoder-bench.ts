import { loadDecoder, type RandomDecoderShape } from '#native';
import { type BenchStep, benchPlan, blocksOf } from './bench-plan.ts';
import { DECODER_SHAPES, headParameters, layerParameters } from './decoder-shapes.ts';
import type { Figure } from './figure.ts';
import type { MachinePeak } from './machine-peak.ts';

const BLOCK_SIZE = 16;
const WEIGHT_BYTES = 2; // bfloat16

export interface DecoderBenchOptions {
  readonly shape: keyof typeof DECODER_SHAPES;
  /** Number of layers of the shape to build; further layers would only repeat them. */
  readonly layers: number;
  readonly device: string;
  readonly batch: number;
  readonly context: number;
  readonly promptTokens: number;
  readonly steps: number;
}

/** Measures tokens per second of single-token steps, beside the time to read the weights once. */
export async function benchDecode(
  options: DecoderBenchOptions,
  peak: MachinePeak,
): Promise<Figure[]> {
  const shape = shapeOf(options);
  const step = { numSequences: options.batch, numTokens: 1, numCached: options.context };
  const seconds = await secondsOfStep(shape, { ...step, blockSize: BLOCK_SIZE }, options);
  const keyValueBytes =
    2 * shape.numLayers * shape.numKeyValueHeads * shape.headDim * WEIGHT_BYTES * options.context;
  const weightBytes = (layerParameters(shape) + headParameters(shape)) * WEIGHT_BYTES;
  const bytesPerSecond = (weightBytes + keyValueBytes * options.batch) / seconds;
  const name = `decode ${describe(options)}, ${options.batch} × 1 at ${options.context}`;
  const limit = { name: 'memory read', share: bytesPerSecond / peak.bytesPerSecond };
  return [
    { name, value: options.batch / seconds, unit: 'tokens/s', limit },
    { name: `${name}: step`, value: seconds * 1000, unit: 'ms' },
  ];
}

/**
 * Measures tokens per second of one prompt in one step, beside the arithmetic of its matrix
 * products.
 */
export async function benchPrefill(
  options: DecoderBenchOptions,
  peak: MachinePeak,
): Promise<Figure[]> {
  const shape = shapeOf(options);
  const step = { numSequences: 1, numTokens: options.promptTokens, numCached: 0 };
  const seconds = await secondsOfStep(shape, { ...step, blockSize: BLOCK_SIZE }, options);
  const flops = 2 * (layerParameters(shape) * options.promptTokens + headParameters(shape));
  const name = `prefill ${describe(options)}, ${options.promptTokens} tokens`;
  const limit = { name: 'float32 arithmetic', share: flops / seconds / peak.flopsPerSecond };
  return [{ name, value: options.promptTokens / seconds, unit: 'tokens/s', limit }];
}

function shapeOf({ shape, layers }: DecoderBenchOptions): RandomDecoderShape {
  const whole = DECODER_SHAPES[shape];
  return { ...whole, numLayers: Math.min(layers, whole.numLayers) };
}

function describe({ shape, layers }: DecoderBenchOptions): string {
  return `${shape} (${Math.min(layers, DECODER_SHAPES[shape].numLayers)} layers)`;
}

/** Measures the median time of a step over random weights, seconds. */
async function secondsOfStep(
  shape: RandomDecoderShape,
  step: BenchStep,
  options: DecoderBenchOptions,
): Promise<number> {
  const blockBytes =
    2 * shape.numLayers * shape.numKeyValueHeads * shape.headDim * BLOCK_SIZE * WEIGHT_BYTES;
  const decoder = await loadDecoder({
    model: { random: shape },
    device: options.device,
    weightDtype: 'bfloat16',
    activationDtype: 'bfloat16',
    blockSize: BLOCK_SIZE,
    kvCacheBytes: blockBytes * blocksOf(step),
    maxNumBatchedTokens: step.numSequences * step.numTokens,
  });
  try {
    const plan = benchPlan(step);
    await decoder.execute(plan); // This step touches all memory once.
    const times: number[] = [];
    for (let i = 0; i < options.steps; i++) {
      times.push((await decoder.execute(plan)).forwardUs / 1e6);
    }
    return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;
  } finally {
    await decoder.close();
  }
}
