import assert from 'node:assert/strict';
import type { EngineError, MediaRows, StepOutput, StepPlan, StepResult } from '#native';
import type { ScheduledChunk, ScheduledStep } from './step-draft.ts';

/** Executes step plans: the native decoder, or a double in tests. */
export interface StepExecutor {
  execute(plan: StepPlan): Promise<StepResult>;
}

/** One token, with its log-probability if that was asked for. */
export interface ScoredToken {
  readonly tokenId: number;
  /** Null if not asked for. */
  readonly score: TokenScore | null;
}

export interface TokenScore {
  readonly logprob: number;
  /** Rank of the token among all; 1 for the likeliest. */
  readonly rank: number;
  /** The likeliest token ids `[num_logprobs]`, best first. */
  readonly topTokenIds: Uint32Array;
  readonly topLogprobs: Float32Array;
}

/** The result of a step for one chunk. */
export interface ChunkResult {
  /** Why the chunk's sequence cannot go on; if set, the other fields mean nothing. */
  readonly failure: EngineError | null;
  /** Prompt tokens that were scored, in prompt order. */
  readonly promptScores: readonly ScoredToken[];
  /** Null if the chunk samples nothing. */
  readonly sampled: ScoredToken | null;
}

/** Lays a scheduled step out as the arrays the decoder reads. */
export function buildStepPlan(step: ScheduledStep, blockSize: number): StepPlan {
  const { chunks, numTokens } = step;
  const maxBlocksPerSequence = Math.max(...chunks.map(numBlocksRead(blockSize)));
  const arrays = {
    tokenIds: new Uint32Array(numTokens),
    positions: new Int32Array(3 * numTokens),
    slotMapping: new Int32Array(numTokens),
    queryStarts: new Int32Array(chunks.length + 1),
    contextLens: new Int32Array(chunks.length),
    blockTables: new Int32Array(chunks.length * maxBlocksPerSequence).fill(-1),
  };
  let row = 0;
  const mediaRows: MediaRows[] = [];
  const outputs: StepOutput[] = [];
  for (const [s, chunk] of chunks.entries()) {
    for (let i = 0; i < chunk.numTokens; i++)
      writeToken(arrays, chunk, { row: row + i, token: chunk.firstToken + i }, blockSize);
    const table = chunk.sequence.blockTable.slice(0, numBlocksRead(blockSize)(chunk));
    arrays.blockTables.set(table, s * maxBlocksPerSequence);
    arrays.contextLens[s] = chunk.firstToken + chunk.numTokens;
    for (const rows of mediaRowsOf(chunk, row)) mediaRows.push(rows);
    for (const output of outputsOf(chunk, row)) outputs.push(output);
    row += chunk.numTokens;
    arrays.queryStarts[s + 1] = row;
  }
  return { ...arrays, maxBlocksPerSequence, mediaRows, outputs };
}

/** Assigns the parts of a result to the chunks of its step. */
export function readStepResult(step: ScheduledStep, result: StepResult): ChunkResult[] {
  let output = 0;
  const failures = new Map(result.failures.map((failure) => [failure.output, failure.error]));
  return step.chunks.map((chunk) => {
    const { sequence, scoredRows, samples } = chunk;
    const firstOutput = output;
    const promptScores: ScoredToken[] = [];
    for (let row = scoredRows.start; row < scoredRows.end; row++) {
      promptScores.push(scoredToken(result, output++, sequence.numPromptLogprobs));
    }
    const sampled = samples ? scoredToken(result, output++, sequence.numLogprobs) : null;
    return {
      failure: firstFailure(failures, { from: firstOutput, to: output }),
      promptScores,
      sampled,
    };
  });
}

function firstFailure(
  failures: ReadonlyMap<number, EngineError>,
  { from, to }: { readonly from: number; readonly to: number },
): EngineError | null {
  // Most steps have no failures.
  for (let output = from; failures.size > 0 && output < to; output++) {
    const failure = failures.get(output);
    if (failure !== undefined) return failure;
  }
  return null;
}

/** Returns how many blocks hold the chunk's context; the table may already reach beyond. */
function numBlocksRead(blockSize: number) {
  return ({ firstToken, numTokens }: ScheduledChunk) =>
    Math.ceil((firstToken + numTokens) / blockSize);
}

function writeToken(
  arrays: Pick<StepPlan, 'tokenIds' | 'positions' | 'slotMapping'>,
  { sequence }: ScheduledChunk,
  { row, token }: { readonly row: number; readonly token: number },
  blockSize: number,
): void {
  const numRows = arrays.tokenIds.length;
  const block = sequence.blockTable[Math.floor(token / blockSize)] ?? -1;
  arrays.tokenIds[row] = sequence.tokenIds[token] ?? 0;
  arrays.slotMapping[row] = block * blockSize + (token % blockSize);
  for (let axis = 0; axis < 3; axis++) {
    arrays.positions[axis * numRows + row] = sequence.rotaryPosition(token, axis);
  }
}

/** Returns the embedding rows of every media item that reaches into the chunk. */
function mediaRowsOf(
  { sequence, firstToken, numTokens }: ScheduledChunk,
  row: number,
): MediaRows[] {
  const end = firstToken + numTokens;
  return sequence.media.placeholders.flatMap((range) => {
    const from = Math.max(firstToken, range.firstToken);
    const to = Math.min(end, range.firstToken + range.numTokens);
    if (from >= to) return [];
    const embedding = sequence.media.rowsOf(range);
    assert(embedding !== null, `media item ${range.mediaIndex} is planned and has no rows`);
    const rowBytes = embedding.rows.length / range.numTokens;
    const start = (from - range.firstToken) * rowBytes;
    const rows = embedding.rows.subarray(start, start + (to - from) * rowBytes);
    const { dtype } = embedding;
    return [{ firstToken: row + from - firstToken, numRows: to - from, dtype, rows }];
  });
}

function outputsOf(chunk: ScheduledChunk, row: number): StepOutput[] {
  const { sequence, firstToken, numTokens, scoredRows, samples } = chunk;
  const outputs: StepOutput[] = [];
  for (let scored = scoredRows.start; scored < scoredRows.end; scored++) {
    outputs.push({
      token: row + scored - firstToken,
      sample: null,
      targetToken: sequence.tokenIds[scored + 1] ?? 0,
      numLogprobs: sequence.numPromptLogprobs,
    });
  }
  if (samples) {
    outputs.push({
      token: row + numTokens - 1,
      sample: sequence.sampler.nextParams(),
      targetToken: 0,
      numLogprobs: sequence.numLogprobs,
    });
  }
  return outputs;
}

function scoredToken(result: StepResult, output: number, numLogprobs: number): ScoredToken {
  const tokenId = result.tokenIds[output] ?? 0;
  if (numLogprobs < 0) return { tokenId, score: null };
  const first = output * result.maxTop;
  return {
    tokenId,
    score: {
      logprob: result.logprobs[output] ?? Number.NaN,
      rank: result.ranks[output] ?? 0,
      topTokenIds: result.topTokenIds.slice(first, first + numLogprobs),
      topLogprobs: result.topLogprobs.slice(first, first + numLogprobs),
    },
  };
}
