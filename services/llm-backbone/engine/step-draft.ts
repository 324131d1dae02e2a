import assert from 'node:assert/strict';
import type { Sequence } from './sequence.ts';

/** Tokens of one sequence that one step computes. */
export interface ScheduledChunk {
  readonly sequence: Sequence;
  /** Index of the chunk's first token within the sequence. */
  readonly firstToken: number;
  readonly numTokens: number;
  /** Tells whether a token is sampled from the last row. */
  readonly samples: boolean;
  /** Prompt rows whose log-probabilities are wanted, `[start, end)`; row r scores token r + 1. */
  readonly scoredRows: { readonly start: number; readonly end: number };
}

/** The tokens that one engine step computes, by sequence. */
export interface ScheduledStep {
  readonly chunks: readonly ScheduledChunk[];
  readonly numTokens: number;
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

  /** Takes as many of the sequence's tokens up to `end` as the budget allows. */
  add(sequence: Sequence, end: number): void {
    const numTokens = Math.min(end - sequence.numComputedTokens, this.#budget);
    assert(numTokens > 0, 'an empty chunk');
    this.#chunks.set(sequence, chunkOf(sequence, numTokens));
    this.#budget -= numTokens;
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
    numTokens,
    samples: end === sequence.numTokens && sequence.endRules.maxTokens > 0,
    scoredRows: scoredRows(sequence, firstToken, end),
  };
}

function scoredRows(sequence: Sequence, firstToken: number, end: number) {
  if (sequence.numPromptLogprobs < 0) return { start: 0, end: 0 };
  // The last prompt row predicts the first completion token; preemption scores no token twice.
  const last = Math.min(end, sequence.numPromptTokens - 1);
  const start = Math.max(firstToken, sequence.numScoredRows);
  return start < last ? { start, end: last } : { start: 0, end: 0 };
}
