import type { PlaceholderRange } from '#backbone/engine/placeholder-range.ts';
import type { HostEmbedding } from '#backbone/engine/row-source.ts';
import { greedySettings, SamplerState } from '#backbone/engine/sampler-state.ts';
import { Scheduler, type SchedulerOptions } from '#backbone/engine/scheduler.ts';
import { assertSchedulerInvariants } from '#backbone/engine/scheduler-invariants.ts';
import { Sequence, type SequenceOptions } from '#backbone/engine/sequence.ts';
import type { ScheduledStep } from '#backbone/engine/step-draft.ts';
import { Ticket, type TicketOptions } from '#backbone/engine/ticket.ts';

export const GREEDY = greedySettings(1000);

/** Returns the token ids `first`, `first + 1`, … */
export function ids(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

export interface SequenceShape extends Partial<SequenceOptions>, Partial<TicketOptions> {
  readonly id: number;
  readonly maxTokens?: number;
}

/** Makes the ticket of a request of the client "a". */
export function ticketOf(options: Partial<TicketOptions> = {}): Ticket {
  return new Ticket({ client: 'a', priority: 0, arrivalMs: 0, needsMedia: false, ...options });
}

/** Makes the place of an image with as many rows as tokens. */
export function imageAt(firstToken: number, numTokens: number, itemKey = 'a'): PlaceholderRange {
  return { firstToken, numTokens, modality: 'image', mediaIndex: 0, itemKey };
}

/** Makes rows of four values of one byte: row r is 4r, 4r + 1, … */
export function rowsFor({ numTokens }: PlaceholderRange): HostEmbedding {
  return { numRows: numTokens, dtype: 'bfloat16', rows: Uint8Array.from(ids(0, 4 * numTokens)) };
}

/** Makes a greedy sequence; unless `shape` gives a prompt, its prompt is unique. */
export function sequenceOf({ maxTokens = 100, ...shape }: SequenceShape): Sequence {
  const promptTokenIds = shape.promptTokenIds ?? ids(shape.id * 1000, 8);
  const completionTokenIds = shape.completionTokenIds ?? [];
  const { client, priority, arrivalMs, needsMedia } = shape;
  return new Sequence({
    ticket: ticketOf({
      ...(client !== undefined && { client }),
      ...(priority !== undefined && { priority }),
      ...(arrivalMs !== undefined && { arrivalMs }),
      needsMedia: needsMedia ?? (shape.placeholders ?? []).length > 0,
    }),
    cacheSalt: '',
    placeholders: [],
    rowSource: null,
    positions: null,
    endRules: { maxTokens, eosTokenIds: new Set([2]), stopTokenIds: new Set([3]) },
    sampler: new SamplerState(GREEDY, promptTokenIds, completionTokenIds, 0),
    numLogprobs: -1,
    numPromptLogprobs: -1,
    pooling: null,
    leader: null,
    suspectKey: '',
    ...shape,
    promptTokenIds,
    completionTokenIds,
  });
}

export function schedulerOf(options: Partial<SchedulerOptions> = {}): Scheduler {
  return new Scheduler({
    numBlocks: 16,
    blockSize: 4,
    maxNumSeqs: 8,
    maxNumBatchedTokens: 32,
    maxNumWaiting: 100,
    maxNumWaitingMedia: 100,
    priorityAgingMs: 1000,
    speculation: null,
    ...options,
  });
}

/** Returns the work of a step for comparison: sequence, first token, number of tokens. */
export function shapeOf(step: ScheduledStep | null): [number, number, number][] {
  return (step?.chunks ?? []).map((c) => [c.sequence.id, c.firstToken, c.numTokens]);
}

/** Commits a step in which every sampling chunk samples `tokenId`. */
export function commitWith(scheduler: Scheduler, step: ScheduledStep | null, tokenId = 7): void {
  if (step === null) throw new Error('nothing was scheduled');
  scheduler.commit(
    step,
    step.chunks.map((chunk) => (chunk.samples ? [tokenId] : [])),
    0,
  );
  assertSchedulerInvariants(scheduler);
}

/** Schedules and commits one step; returns its work. */
export function runStep(scheduler: Scheduler, tokenId = 7): [number, number, number][] {
  const step = scheduler.schedule();
  const shape = shapeOf(step);
  commitWith(scheduler, step, tokenId);
  return shape;
}
