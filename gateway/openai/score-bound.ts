import { MeshError } from '#mesh/errors.ts';
import type { OutputOptions } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { GenerateEvent } from './event.ts';

export interface ScoreBoundOptions {
  readonly output: OutputOptions | undefined;
  /** How often the answer repeats the prompt's log-probabilities. */
  readonly promptRepeats: number;
  /** What a stream has sent is no longer held. */
  readonly isStream: boolean;
}

/**
 * Counts the log-probabilities of one answer, of all its prompts and choices: they are held and written
 * as JSON in one go.
 */
export class ScoreBound {
  readonly #maxScores: number;
  #numScores = 0;

  constructor(maxScores: number) {
    this.#maxScores = maxScores;
  }

  /** Passes events on; throws where those of the answer are too many, before a prompt is scored. */
  watch(
    events: AsyncIterable<GenerateEvent>,
    options: ScoreBoundOptions,
  ): AsyncIterable<GenerateEvent> {
    const { numLogprobs, numPromptLogprobs } = options.output ?? {};
    const hasScores = numLogprobs !== undefined || numPromptLogprobs !== undefined;
    return hasScores ? this.#counted(events, options) : events;
  }

  async *#counted(
    events: AsyncIterable<GenerateEvent>,
    options: ScoreBoundOptions,
  ): AsyncGenerator<GenerateEvent> {
    for await (const event of events) {
      this.#add(numScoresOf(event, options));
      yield event;
    }
  }

  #add(numScores: number): void {
    this.#numScores += numScores;
    if (this.#numScores <= this.#maxScores) return;
    const message = `the answer would have over ${this.#maxScores} log-probabilities (key "max-answer-logprobs"); ask for fewer alternatives, choices, prompts or tokens`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'logprobs' });
  }
}

function numScoresOf(event: GenerateEvent, { output, promptRepeats, isStream }: ScoreBoundOptions) {
  if (event.$case === 'accepted' && output?.numPromptLogprobs !== undefined) {
    return event.value.numPromptTokens * (output.numPromptLogprobs + 1) * promptRepeats;
  }
  if (event.$case !== 'delta' || isStream) return 0;
  return event.value.choices.reduce(
    (sum, { logprobs }) => logprobs.reduce((all, { top }) => all + top.length + 1, sum),
    0,
  );
}
