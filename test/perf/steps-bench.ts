import type { Decoder } from '#native';
import { samplesOf } from '#test/metric-samples.ts';
import { ids } from '#test/unit/llm-backbone/engine/scheduling.ts';
import { createTestEngine, generate } from '#test/unit/llm-backbone/test-engine.ts';
import { loadBenchDecoder } from './bench-decoder.ts';
import type { BenchStep } from './bench-plan.ts';
import { DECODER_SHAPES } from './decoder-shapes.ts';
import type { Figure } from './figure.ts';

const BLOCK_SIZE = 16;
const MAX_STEP_TOKENS = 512;
const NUM_PROMPT_TOKENS = 32;
const NUM_TOKENS = 400;
const NUMS_OF_SEQUENCES = [1, 16, 64] as const;

/** The steps that need the most blocks and the most tokens. */
const LAST_STEP: BenchStep = {
  numSequences: Math.max(...NUMS_OF_SEQUENCES),
  numTokens: 1,
  numCached: NUM_PROMPT_TOKENS + NUM_TOKENS,
  blockSize: BLOCK_SIZE,
};
const PREFILL: BenchStep = {
  numSequences: 1,
  numTokens: MAX_STEP_TOKENS,
  numCached: 0,
  blockSize: BLOCK_SIZE,
};

/**
 * Measures how long the device is idle between two steps of phone-nano's shape, in one process that
 * generates answers and sends them nowhere.
 */
export async function benchSteps({ device }: { readonly device: string }): Promise<Figure[]> {
  const decoder = await loadBenchDecoder(DECODER_SHAPES['phone-nano'], [LAST_STEP, PREFILL], {
    device,
    quantize: 'none',
  });
  try {
    // The first run is for the compiler of JavaScript.
    await figuresOf(decoder, 16);
    const figures: Figure[] = [];
    for (const num of NUMS_OF_SEQUENCES) figures.push(...(await figuresOf(decoder, num)));
    return figures;
  } finally {
    await decoder.close();
  }
}

/** Generates with so many sequences at once. */
async function figuresOf(decoder: Decoder, num: number): Promise<Figure[]> {
  const test = createTestEngine(decoder, { maxNumSeqs: num, maxNumBatchedTokens: MAX_STEP_TOKENS });
  const shapes = Array.from({ length: num }, (_, i) => ({
    promptTokenIds: ids(40 + i, NUM_PROMPT_TOKENS),
    maxTokens: NUM_TOKENS,
  }));
  const startMs = performance.now();
  await Promise.all(shapes.map((shape) => generate(test, shape)));
  const seconds = (performance.now() - startMs) / 1000;
  test.engine.close();
  await test.done;
  const gaps = samplesOf(test.registry, 'step_gap_seconds');
  const value = (suffix: string, le?: string) =>
    gaps.find((one) => one.suffix === suffix && one.labels['le'] === le)?.value ?? Number.NaN;
  const count = value('_count');
  const shortShare = value('_bucket', '0.0001') / count;
  const name = `engine, ${num} × phone-nano`;
  return [
    { name, value: (num * NUM_TOKENS) / seconds, unit: 'tokens/s' },
    { name: `${name}: idle between steps`, value: (1e6 * value('_sum')) / count, unit: 'µs' },
    { name: `${name}: gaps up to 100 µs`, value: 100 * shortShare, unit: '%' },
  ];
}
