import { greedySettings, SamplerState } from '#backbone/engine/sampler-state.ts';
import type { SampleParams, StepOutput, StepPlan } from '#native';

const BLOCKS_PER_SEQUENCE = 64;

/** Returns parameters of a greedy choice without penalties. */
function greedy(vocabLimit: number): SampleParams {
  return new SamplerState(greedySettings(vocabLimit), [], [], 0).nextParams();
}

/** One text sequence in blocks of its own, which lie in the cache in scattered order. */
export class PagedSequence {
  readonly tokens: number[];
  readonly #blocks: readonly number[];
  #numCached = 0;

  /** Takes an `index` that gives each of the sequences that run together blocks of its own. */
  constructor(promptIds: readonly number[], index: number) {
    this.tokens = [...promptIds];
    const first = index * BLOCKS_PER_SEQUENCE;
    this.#blocks = Array.from(
      { length: BLOCKS_PER_SEQUENCE },
      (_, i) => first + ((i * 37) % BLOCKS_PER_SEQUENCE),
    );
  }

  get numWaiting(): number {
    return this.tokens.length - this.#numCached;
  }

  /** Takes the next `count` waiting tokens. */
  take(count: number): SequenceChunk {
    const start = this.#numCached;
    this.#numCached += count;
    return { sequence: this, start, end: start + count, blocks: this.#blocks };
  }
}

export interface SequenceChunk {
  readonly sequence: PagedSequence;
  readonly start: number;
  readonly end: number;
  readonly blocks: readonly number[];
}

/**
 * Plans a step of these chunks; a chunk that reaches the end of its sequence samples the next
 * token.
 */
export function planOf(
  chunks: readonly SequenceChunk[],
  { blockSize, vocabLimit }: { readonly blockSize: number; readonly vocabLimit: number },
): StepPlan {
  const rows = chunks.flatMap(({ sequence, start, end, blocks }) =>
    sequence.tokens.slice(start, end).map((tokenId, i) => {
      const position = start + i;
      const block = blocks[Math.floor(position / blockSize)] ?? -1;
      return { tokenId, position, slot: block * blockSize + (position % blockSize) };
    }),
  );
  const starts = [0];
  for (const { start, end } of chunks) starts.push((starts.at(-1) ?? 0) + end - start);
  const outputs = chunks.flatMap(({ sequence, end }, i): StepOutput[] => {
    if (end < sequence.tokens.length) return [];
    const token = (starts[i + 1] ?? 0) - 1;
    return [{ token, sample: greedy(vocabLimit), targetToken: 0, numLogprobs: 1 }];
  });
  const positions = rows.map(({ position }) => position);
  return {
    tokenIds: Uint32Array.from(rows, ({ tokenId }) => tokenId),
    positions: Int32Array.from([...positions, ...positions, ...positions]),
    slotMapping: Int32Array.from(rows, ({ slot }) => slot),
    queryStarts: Int32Array.from(starts),
    contextLens: Int32Array.from(chunks, ({ end }) => end),
    blockTables: Int32Array.from(chunks.flatMap(({ blocks }) => blocks)),
    maxBlocksPerSequence: BLOCKS_PER_SEQUENCE,
    mediaRows: [],
    outputs,
  };
}
