import { greedySettings, SamplerState } from '#backbone/engine/sampler-state.ts';
import type { StepPlan } from '#native';

/** Tokens of the vocabulary that may be sampled. */
const VOCAB_LIMIT = 1024;

export interface BenchStep {
  readonly numSequences: number;
  /** Tokens of each sequence in this step. */
  readonly numTokens: number;
  /** Tokens of each sequence already in the cache. */
  readonly numCached: number;
  readonly blockSize: number;
}

/** Returns the number of KV cache blocks that a step needs. */
export function blocksOf({ numSequences, numTokens, numCached, blockSize }: BenchStep): number {
  return numSequences * Math.ceil((numCached + numTokens) / blockSize);
}

/** Plans a step of equal sequences that samples one token of each, or of each row. */
export function benchPlan(step: BenchStep, everyRow = false): StepPlan {
  const { numSequences, numTokens, numCached, blockSize } = step;
  const total = numSequences * numTokens;
  const blocksEach = Math.ceil((numCached + numTokens) / blockSize);
  const positionOf = (i: number) => numCached + (i % numTokens);
  const slotOf = (i: number) => Math.floor(i / numTokens) * blocksEach * blockSize + positionOf(i);
  const text = Int32Array.from({ length: total }, (_, i) => positionOf(i));
  const positions = new Int32Array(3 * total);
  for (const axis of [0, 1, 2]) positions.set(text, axis * total);
  const sample = new SamplerState(greedySettings(VOCAB_LIMIT), [], [], 0).nextParams();
  return {
    tokenIds: Uint32Array.from({ length: total }, (_, i) => i % VOCAB_LIMIT),
    positions,
    slotMapping: Int32Array.from({ length: total }, (_, i) => slotOf(i)),
    queryStarts: Int32Array.from({ length: numSequences + 1 }, (_, s) => s * numTokens),
    contextLens: new Int32Array(numSequences).fill(numCached + numTokens),
    blockTables: Int32Array.from({ length: numSequences * blocksEach }, (_, i) => i),
    maxBlocksPerSequence: blocksEach,
    mediaRows: [],
    outputs: Array.from({ length: everyRow ? total : numSequences }, (_, i) => ({
      token: everyRow ? i : (i + 1) * numTokens - 1,
      sample,
      targetToken: 0,
      numLogprobs: -1,
    })),
  };
}
