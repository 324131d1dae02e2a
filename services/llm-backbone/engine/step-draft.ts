import assert from 'node:assert/strict';
import type { RowRange } from '#backbone/pooling/prompt-pooling.ts';
import type { Sequence } from './sequence.ts';

/** Tokens of one sequence that one step computes, and those it verifies. */
export interface ScheduledChunk {
  readonly sequence: Sequence;
  /** Index of the chunk's first token within the sequence. */
  readonly firstToken: number;
  /** Output of the step before that chooses the chunk's only token; null if the tokens are known. */
  readonly previousOutput: number | null;
  /** Number of tokens of the sequence itself. */
  readonly numTokens: number;
  /** Tokens that may follow them; a token is sampled from each of their rows too. */
  readonly draftIds: readonly number[];
  /** Tells whether a token is sampled from the row of the sequence's last token. */
  readonly samples: boolean;
  /** Prompt rows whose log-probabilities are wanted, `[start, end)`; row r scores token r + 1. */
  readonly scoredRows: RowRange;
  /** Prompt rows whose hidden states are added to `sequence.pooling`; null if there are none. */
  readonly pooledRows: RowRange | null;
}

/** The tokens that one engine step computes, by sequence. */
export interface ScheduledStep {
  readonly chunks: readonly ScheduledChunk[];
  /** Number of rows, those of drafts included. */
  readonly numTokens: number;
}

const NO_DRAFT: readonly number[] = [];
const NO_ROWS: RowRange = { start: 0, end: 0 };

/** Returns the number of rows that a chunk has in its step. */
export function numRowsOf({ numTokens, draftIds }: ScheduledChunk): number {
  return numTokens + draftIds.length;
}

/**
 * Returns the step after one that chooses a token of each of its sequences and nothing else: these
 * tokens, before they are known. Sequences that are gone have none, and those that certainly end.
 */
export function stepAhead({ chunks }: ScheduledStep): ScheduledStep | null {
  const ahead: ScheduledChunk[] = [];
  for (const [output, { sequence, firstToken, numTokens }] of chunks.entries()) {
    const next = firstToken + numTokens;
    const isLast = next + 1 - sequence.numPromptTokens >= sequence.endRules.maxTokens;
    if (sequence.state !== 'running' || isLast) continue;
    // Spelled out, since this is done for each token of each sequence.
    ahead.push({
      sequence,
      firstToken: next,
      previousOutput: output,
      numTokens: 1,
      draftIds: NO_DRAFT,
      samples: true,
      scoredRows: NO_ROWS,
      pooledRows: null,
    });
  }
  return ahead.length === 0 ? null : { chunks: ahead, numTokens: ahead.length };
}

/** A step while it is being planned. */
export class StepDraft {
  readonly #chunks = new Map<Sequence, ScheduledChunk>();
  readonly #maxNumTokens: number;
  #budget: number;
  #hasPreempted = false;

  constructor(maxNumTokens: number) {
    this.#maxNumTokens = maxNumTokens;
    this.#budget = maxNumTokens;
  }

  /** Number of tokens the step may still take. */
  get budget(): number {
    return this.#budget;
  }

  get hasPreempted(): boolean {
    return this.#hasPreempted;
  }

  /**
   * Takes as many of the sequence's tokens up to `end` as the budget allows, instead of those it had
   * taken; returns how many.
   */
  add(sequence: Sequence, end: number): number {
    this.#budget += this.#chunks.get(sequence)?.numTokens ?? 0;
    const numTokens = Math.min(end - sequence.numComputedTokens, this.#budget);
    assert(numTokens > 0, 'an empty chunk');
    this.#chunks.set(sequence, chunkOf(sequence, numTokens));
    this.#budget -= numTokens;
    return numTokens;
  }

  /** Sequences of which the step computes the last token alone and samples the next one. */
  get decoding(): readonly Sequence[] {
    const chunks = [...this.#chunks.values()].filter(
      ({ numTokens, samples }) => samples && numTokens === 1,
    );
    return chunks.map(({ sequence }) => sequence);
  }

  /** Puts drafted tokens behind the tokens of a sequence; the budget must have room for them. */
  speculate(sequence: Sequence, draftIds: readonly number[]): void {
    const chunk = this.#chunks.get(sequence);
    assert(chunk?.samples === true && draftIds.length <= this.#budget, 'a draft has no place');
    this.#chunks.set(sequence, { ...chunk, draftIds });
    this.#budget -= draftIds.length;
  }

  /** Gives back the tokens that a preempted sequence had taken. */
  drop(sequence: Sequence): void {
    this.#hasPreempted = true;
    this.#budget += this.#chunks.get(sequence)?.numTokens ?? 0;
    this.#chunks.delete(sequence);
  }

  finish(): ScheduledStep | null {
    if (this.#chunks.size === 0) return null;
    return { chunks: [...this.#chunks.values()], numTokens: this.#maxNumTokens - this.#budget };
  }
}

function chunkOf(sequence: Sequence, numTokens: number): ScheduledChunk {
  const firstToken = sequence.numComputedTokens;
  const end = firstToken + numTokens;
  return {
    sequence,
    firstToken,
    previousOutput: null,
    numTokens,
    draftIds: NO_DRAFT,
    samples: end === sequence.numTokens && sequence.endRules.maxTokens > 0,
    scoredRows: scoredRows(sequence, firstToken, end),
    pooledRows: sequence.pooling?.rowsOf(firstToken, end) ?? null,
  };
}

function scoredRows(sequence: Sequence, firstToken: number, end: number): RowRange {
  if (sequence.numPromptLogprobs < 0) return NO_ROWS;
  // The last prompt row predicts the first completion token; preemption scores no token twice.
  const last = Math.min(end, sequence.numPromptTokens - 1);
  const start = Math.max(firstToken, sequence.numScoredRows);
  return start < last ? { start, end: last } : NO_ROWS;
}
