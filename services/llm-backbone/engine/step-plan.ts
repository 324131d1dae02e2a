import assert from 'node:assert/strict';
import type { EngineError, MediaRows, PooledRows, StepOutput, StepPlan, StepResult } from '#native';
import { numBytesOf } from './row-source.ts';
import { endAfter } from './sequence.ts';
import { numRowsOf, type ScheduledChunk, type ScheduledStep } from './step-draft.ts';

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
  /**
   * Tokens that the sequence goes on with: none if the chunk samples nothing; otherwise its accepted
   * drafts and one more, unless one of them ends it.
   */
  readonly sampled: readonly ScoredToken[];
  /** `[hidden_size]`: sum of hidden states up to the chunk's end; null if none were asked for. */
  readonly pooledSum: Float64Array | null;
}

/** Lays a scheduled step out as the arrays the decoder reads. */
export function buildStepPlan(step: ScheduledStep, blockSize: number): StepPlan {
  const { chunks, numTokens } = step;
  const numsOfBlocks = chunks.map((chunk) => numBlocksRead(chunk, blockSize));
  const maxBlocksPerSequence = Math.max(...numsOfBlocks);
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
  const pooledRows: PooledRows[] = [];
  for (const [s, chunk] of chunks.entries()) {
    const numRows = numRowsOf(chunk);
    for (let i = 0; i < numRows; i++)
      writeToken(arrays, chunk, { row: row + i, token: chunk.firstToken + i }, blockSize);
    const { blockTable } = chunk.sequence;
    for (let i = 0; i < (numsOfBlocks[s] ?? 0); i++)
      arrays.blockTables[s * maxBlocksPerSequence + i] = blockTable[i] ?? -1;
    arrays.contextLens[s] = chunk.firstToken + numRows;
    for (const rows of mediaRowsOf(chunk, row)) mediaRows.push(rows);
    addOutputs(outputs, chunk, row);
    for (const pooled of pooledRowsOf(chunk, row)) pooledRows.push(pooled);
    row += numRows;
    arrays.queryStarts[s + 1] = row;
  }
  const previousOutputs = previousOutputsOf(step);
  return {
    ...arrays,
    ...(previousOutputs !== null && { previousOutputs }),
    maxBlocksPerSequence,
    mediaRows,
    outputs,
    ...(pooledRows.length > 0 && { pooledRows }),
  };
}

/** Returns for each row the output of the step before that chooses its token; null if there is none. */
function previousOutputsOf({ chunks, numTokens }: ScheduledStep): Int32Array | null {
  if (chunks.every(({ previousOutput }) => previousOutput === null)) return null;
  const outputs = new Int32Array(numTokens).fill(-1);
  let row = 0;
  for (const chunk of chunks) {
    if (chunk.previousOutput !== null) outputs[row] = chunk.previousOutput;
    row += numRowsOf(chunk);
  }
  return outputs;
}

/** Assigns the parts of a result to the chunks of its step. */
export function readStepResult(step: ScheduledStep, result: StepResult): ChunkResult[] {
  let output = 0;
  let pooled = 0;
  const failures = new Map(result.failures.map((failure) => [failure.output, failure.error]));
  return step.chunks.map((chunk) => {
    const { sequence, scoredRows, samples, draftIds } = chunk;
    const firstOutput = output;
    const promptScores: ScoredToken[] = [];
    for (let row = scoredRows.start; row < scoredRows.end; row++) {
      promptScores.push(scoredToken(result, output++, sequence.numPromptLogprobs));
    }
    const firstSample = output;
    if (samples) output += 1 + draftIds.length;
    // A failure behind the first sample counts only once its draft has been accepted.
    const failure = firstFailure(failures, {
      from: firstOutput,
      to: samples ? firstSample + 1 : output,
    });
    const isFine = (one: number) => !failures.has(one);
    return {
      failure,
      promptScores,
      sampled: samples ? acceptedTokens(chunk, result, { firstSample, isFine }) : [],
      pooledSum: chunk.pooledRows === null ? null : (result.pooledSums[pooled++] ?? null),
    };
  });
}

/**
 * Returns the sampled tokens up to the first that is not the one drafted at its place, that ends the
 * sequence, or that is followed by an output without a token.
 */
function acceptedTokens(
  { sequence, draftIds }: ScheduledChunk,
  result: StepResult,
  outputs: { readonly firstSample: number; readonly isFine: (output: number) => boolean },
): ScoredToken[] {
  const { numLogprobs, numCompletionTokens, endRules } = sequence;
  const { firstSample, isFine } = outputs;
  if (draftIds.length === 0) {
    return isFine(firstSample) ? [scoredToken(result, firstSample, numLogprobs)] : [];
  }
  const accepted: ScoredToken[] = [];
  for (let i = 0; i <= draftIds.length && isFine(firstSample + i); i++) {
    const token = scoredToken(result, firstSample + i, numLogprobs);
    accepted.push(token);
    const isLast = endAfter(endRules, token.tokenId, numCompletionTokens + i + 1) !== null;
    if (isLast || token.tokenId !== draftIds[i]) break;
  }
  return accepted;
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
function numBlocksRead(chunk: ScheduledChunk, blockSize: number): number {
  return Math.ceil((chunk.firstToken + numRowsOf(chunk)) / blockSize);
}

function writeToken(
  arrays: Pick<StepPlan, 'tokenIds' | 'positions' | 'slotMapping'>,
  { sequence, draftIds }: ScheduledChunk,
  { row, token }: { readonly row: number; readonly token: number },
  blockSize: number,
): void {
  const numRows = arrays.tokenIds.length;
  const block = sequence.blockTable[Math.floor(token / blockSize)] ?? -1;
  arrays.tokenIds[row] = sequence.tokenIds[token] ?? draftIds[token - sequence.numTokens] ?? 0;
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
  return sequence.media.placeholders.flatMap((range): MediaRows[] => {
    const from = Math.max(firstToken, range.firstToken);
    const to = Math.min(end, range.firstToken + range.numTokens);
    if (from >= to) return [];
    const embedding = sequence.media.rowsOf(range);
    assert(embedding !== null, `media item ${range.mediaIndex} is planned and has no rows`);
    const rowBytes = numBytesOf(embedding) / range.numTokens;
    const start = (from - range.firstToken) * rowBytes;
    const place = { firstToken: row + from - firstToken, numRows: to - from };
    if ('lease' in embedding) {
      const { dtype, lease } = embedding;
      return [{ ...place, dtype, poolOffset: lease.offset + start }];
    }
    const rows = embedding.rows.subarray(start, start + (to - from) * rowBytes);
    return [{ ...place, dtype: embedding.dtype, rows }];
  });
}

function pooledRowsOf(
  { sequence, firstToken, pooledRows }: ScheduledChunk,
  row: number,
): PooledRows[] {
  if (pooledRows === null) return [];
  const { start, end } = pooledRows;
  const sum = sequence.pooling?.sum;
  return [{ firstToken: row + start - firstToken, numRows: end - start, ...(sum && { sum }) }];
}

function addOutputs(outputs: StepOutput[], chunk: ScheduledChunk, row: number): void {
  const { sequence, firstToken, numTokens, scoredRows, samples, draftIds } = chunk;
  for (let scored = scoredRows.start; scored < scoredRows.end; scored++) {
    outputs.push({
      token: row + scored - firstToken,
      sample: null,
      targetToken: sequence.tokenIds[scored + 1] ?? 0,
      numLogprobs: sequence.numPromptLogprobs,
    });
  }
  for (let i = 0; samples && i <= draftIds.length; i++) {
    const { sampler } = sequence;
    const isAhead = chunk.previousOutput !== null;
    outputs.push({
      token: row + numTokens - 1 + i,
      sample: isAhead ? sampler.paramsAhead() : sampler.paramsAfter(draftIds.slice(0, i)),
      targetToken: 0,
      numLogprobs: sequence.numLogprobs,
    });
  }
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
