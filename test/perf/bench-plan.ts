import { greedySettings, SamplerState } from '#backbone/engine/sampler-state.ts';
import type { StepPlan } from '#native';

/** Rows of the vocabulary that are sampled from. */
const VOCAB_LIMIT = 1024;

export interface BenchStep {
  readonly numSequences: number;
  /** Tokens of each sequence in this step. */
  readonly numTokens: number;
  /** Tokens of each sequence already in the cache. */
  readonly numCached: number;
  readonly blockSize: number;
}

/** Blocks of KV cache such a step needs. */
export function blocksOf({ numSequences, numTokens, numCached, blockSize }: BenchStep): number {
  return numSequences * Math.ceil((numCached + numTokens) / blockSize);
}

/** A step of equal sequences that samples one token of each. */
export function benchPlan(step: BenchStep): StepPlan {
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
    outputs: Array.from({ length: numSequences }, (_, s) => ({
      token: (s + 1) * numTokens - 1,
      sample,
      targetToken: 0,
      numLogprobs: -1,
    })),
  };
}
