import { loadBenchDecoder } from './bench-decoder.ts';
import { type BenchStep, benchPlan } from './bench-plan.ts';
import { DECODER_SHAPES } from './decoder-shapes.ts';

/** Steps of phone-nano: one token of one sequence, as a backbone decodes, and as much as a tower does. */
export const STEPS = {
  decode: { numSequences: 1, numTokens: 1, numCached: 512, blockSize: 16 },
  encode: { numSequences: 1, numTokens: 256, numCached: 0, blockSize: 16 },
} as const satisfies Record<string, BenchStep>;

/** Runs one step again and again for some milliseconds; returns steps per second. */
export type StepRunner = (durationMs: number) => Promise<number>;

/** Loads a decoder on all cores that does one kind of step. */
export async function createStepRunner(kind: keyof typeof STEPS): Promise<StepRunner> {
  const step = STEPS[kind];
  const options = { device: 'cpu', quantize: 'none' } as const;
  const decoder = await loadBenchDecoder(DECODER_SHAPES['phone-nano'], [step], options);
  const plan = benchPlan(step);
  await decoder.execute(plan); // This step touches all memory once.
  return async (durationMs) => {
    const startedMs = performance.now();
    let numSteps = 0;
    while (performance.now() - startedMs < durationMs) {
      await decoder.execute(plan);
      numSteps += 1;
    }
    return (numSteps * 1000) / (performance.now() - startedMs);
  };
}
