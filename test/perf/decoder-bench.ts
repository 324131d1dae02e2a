import type { KvCacheDtype, Quantize, RandomDecoderShape } from '#native';
import { keyBytes, loadBenchDecoder } from './bench-decoder.ts';
import { type BenchStep, benchPlan } from './bench-plan.ts';
import { DECODER_SHAPES, headParameters, layerParameters } from './decoder-shapes.ts';
import { type Figure, medianOf } from './figure.ts';
import type { MachinePeak } from './machine-peak.ts';

const BLOCK_SIZE = 16;

/** Bytes of a weight: int4 has a bfloat16 scale for 128 of them, int8 one for a whole column. */
const WEIGHT_BYTES = { none: 2, int8: 1, int4: 0.5 + 2 / 128 } as const;

export interface DecoderBenchOptions {
  readonly shape: keyof typeof DECODER_SHAPES;
  /** Number of layers of the shape to build; further layers would only repeat them. */
  readonly layers: number;
  readonly device: string;
  readonly quantize: Quantize;
  readonly batch: number;
  readonly context: number;
  readonly promptTokens: number;
  readonly steps: number;
  readonly kvCacheDtype: KvCacheDtype;
}

/** Measures tokens per second of single-token steps, beside the time to read the weights once. */
export async function benchDecode(
  options: DecoderBenchOptions,
  peak: MachinePeak,
): Promise<Figure[]> {
  const shape = shapeOf(options);
  const step = { numSequences: options.batch, numTokens: 1, numCached: options.context };
  const seconds = await secondsOfStep(shape, { ...step, blockSize: BLOCK_SIZE }, options);
  const bytesPerSecond = decodeBytes(shape, options) / seconds;
  const name = `decode ${describe(options)}, ${options.batch} × 1 at ${options.context}`;
  const limit = { name: 'memory read', share: bytesPerSecond / peak.bytesPerSecond };
  return [
    { name, value: options.batch / seconds, unit: 'tokens/s', limit },
    { name: `${name}: step`, value: seconds * 1000, unit: 'ms' },
  ];
}

/** Returns the bytes that a step of single tokens must read: the weights, and each context. */
export function decodeBytes(
  shape: RandomDecoderShape,
  options: Pick<DecoderBenchOptions, 'quantize' | 'batch' | 'context' | 'kvCacheDtype'>,
): number {
  const { quantize, batch, context, kvCacheDtype } = options;
  const rowBytes = keyBytes(shape.headDim, kvCacheDtype);
  const keyValueBytes = 2 * shape.numLayers * shape.numKeyValueHeads * rowBytes * context;
  const weightBytes = (layerParameters(shape) + headParameters(shape)) * WEIGHT_BYTES[quantize];
  return weightBytes + keyValueBytes * batch;
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
  const products = productsOf(options.quantize, peak);
  const limit = { name: products.name, share: flops / seconds / products.peak };
  return [{ name, value: options.promptTokens / seconds, unit: 'tokens/s', limit }];
}

/**
 * Returns the machine's fastest products for these weights. int4 is multiplied as bfloat16, which
 * inputs are rounded to.
 */
export function productsOf(
  quantize: Quantize,
  { flopsPerSecond, bfloat16FlopsPerSecond, int8OpsPerSecond }: MachinePeak,
): { readonly name: string; readonly peak: number } {
  const isInt8 = quantize === 'int8';
  const peak = isInt8 ? int8OpsPerSecond : bfloat16FlopsPerSecond;
  if (peak > 0) return { name: isInt8 ? 'int8 products' : 'bfloat16 products', peak };
  return { name: 'float32 arithmetic', peak: flopsPerSecond };
}

/** Measures the time of a step that verifies a draft of one sequence, seconds. */
export async function secondsOfDraftStep(
  options: DecoderBenchOptions,
  draftTokens: number,
): Promise<number> {
  const step = { numSequences: 1, numTokens: 1 + draftTokens, numCached: options.context };
  return await secondsOfStep(shapeOf(options), { ...step, blockSize: BLOCK_SIZE }, options, true);
}

function shapeOf({ shape, layers }: DecoderBenchOptions): RandomDecoderShape {
  const whole = DECODER_SHAPES[shape];
  return { ...whole, numLayers: Math.min(layers, whole.numLayers) };
}

function describe({ shape, layers, quantize, kvCacheDtype }: DecoderBenchOptions): string {
  const numLayers = Math.min(layers, DECODER_SHAPES[shape].numLayers);
  const cache = kvCacheDtype === 'auto' ? '' : `, KV cache ${kvCacheDtype}`;
  return `${shape} (${numLayers} layers, ${quantize === 'none' ? 'bfloat16' : quantize}${cache})`;
}

/** Measures the median time of a step over random weights, seconds. */
async function secondsOfStep(
  shape: RandomDecoderShape,
  step: BenchStep,
  options: DecoderBenchOptions,
  everyRow = false,
): Promise<number> {
  const { device, quantize, kvCacheDtype } = options;
  const decoder = await loadBenchDecoder(shape, [step], { device, quantize, kvCacheDtype });
  try {
    const plan = benchPlan(step, everyRow);
    return await medianOf(options.steps, async () => (await decoder.execute(plan)).forwardUs / 1e6);
  } finally {
    await decoder.close();
  }
}
