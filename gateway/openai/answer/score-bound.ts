import { MeshError } from '#mesh/errors.ts';
import type { OutputOptions } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { AnswerEvent } from './event.ts';

export interface ScoreLimits {
  readonly maxScores: number;
  /** Number of times the answer repeats a prompt's log-probabilities. */
  readonly promptRepeats: number;
  /** True for a stream, which does not hold what it has sent. */
  readonly isStream: boolean;
}

/** Counts events for a bound; throws if the answer has too many log-probabilities. */
export type ScoreCounter = (event: AnswerEvent) => void;

/**
 * Counts the log-probabilities of one answer, of all its prompts and choices, because they are held
 * together, and as JSON too.
 */
export class ScoreBound {
  readonly #limits: ScoreLimits;
  #numScores = 0;

  constructor(limits: ScoreLimits) {
    this.#limits = limits;
  }

  /**
   * Returns the counter for one of the answer's generations; undefined if it has no
   * log-probabilities.
   */
  counterFor(output: OutputOptions | undefined): ScoreCounter | undefined {
    const { numLogprobs, numPromptLogprobs } = output ?? {};
    if (numLogprobs === undefined && numPromptLogprobs === undefined) return undefined;
    return (event) => this.#add(this.#numScoresOf(event, numPromptLogprobs));
  }

  #add(numScores: number): void {
    const { maxScores } = this.#limits;
    this.#numScores += numScores;
    if (this.#numScores <= maxScores) return;
    const message = `the answer would have over ${maxScores} log-probabilities (key "max-answer-logprobs"); ask for fewer alternatives, choices, prompts or tokens`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'logprobs' });
  }

  /**
   * Counts the scores of an event; those of a prompt when it is accepted, before they are computed.
   */
  #numScoresOf(event: AnswerEvent, numPromptLogprobs: number | undefined): number {
    const { promptRepeats, isStream } = this.#limits;
    if (event.$case === 'accepted' && numPromptLogprobs !== undefined) {
      return event.value.numPromptTokens * (numPromptLogprobs + 1) * promptRepeats;
    }
    if (event.$case !== 'delta' || isStream) return 0;
    return event.value.choices.reduce(
      (sum, { logprobs }) => logprobs.reduce((all, { top }) => all + top.length + 1, sum),
      0,
    );
  }
}
