import type {
  Accepted,
  ChoiceDelta,
  ChoiceFinish,
  PromptLogprobs,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { AnswerForm } from './answer-form.ts';
import type { ChunkFrame } from './chunk-frame.ts';
import type { Echo } from './echo.ts';
import { type AnswerEvent, finishReason, stopReason } from './event.ts';
import { CompletionLogprobsWriter } from './logprobs.ts';
import type { Usage, UsageMeter } from './usage.ts';

export interface CompletionChunksOptions {
  readonly frame: ChunkFrame;
  readonly form: AnswerForm;
  /** Index of this prompt's first choice among all choices of the answer. */
  readonly firstIndex: number;
  /** Meter of this prompt's tokens. */
  readonly meter: UsageMeter;
  /** Returns the usage of the whole answer so far. */
  readonly usage: () => Usage;
}

/** Writes one prompt's part of a text completion stream. */
export class CompletionChunks {
  readonly #options: CompletionChunksOptions;
  readonly #logprobs: readonly CompletionLogprobsWriter[];
  #echo: Echo | undefined;

  constructor(options: CompletionChunksOptions) {
    this.#options = options;
    const { numChoices, tokensAsIds } = options.form;
    this.#logprobs = Array.from(
      { length: numChoices },
      () => new CompletionLogprobsWriter(tokensAsIds),
    );
  }

  /**
   * Sets the text before each choice; call it before the event that opens the choices is written.
   */
  setEcho(echo: Echo): void {
    this.#echo = echo;
  }

  write(event: AnswerEvent): string {
    this.#options.meter.observe(event);
    switch (event.$case) {
      case 'accepted':
        return this.#opening(event.value);
      case 'promptLogprobs':
        return this.#echoWithLogprobs(event.value);
      case 'delta':
        return event.value.choices.map((choice) => this.#delta(choice)).join('');
      case 'finished':
        return event.value.choices.map((choice) => this.#finish(choice)).join('');
    }
  }

  /** Returns the start of the choices; an echo with log-probabilities waits for these. */
  #opening(accepted: Accepted): string {
    const { form } = this.#options;
    const promptIds = form.returnsTokenIds ? { prompt_token_ids: accepted.promptTokenIds } : {};
    const text = this.#echo?.firstToken === undefined ? (this.#echo?.text ?? '') : '';
    if (text === '' && !form.returnsTokenIds) return '';
    return this.#logprobs.map((_, index) => this.#chunk(index, { text, ...promptIds })).join('');
  }

  #echoWithLogprobs(prompt: PromptLogprobs): string {
    const { text, firstToken } = this.#echo ?? {};
    if (firstToken === undefined) return '';
    return this.#logprobs
      .map((writer, index) => {
        const logprobs = writer.writePrompt(firstToken, prompt.tokens);
        return this.#chunk(index, { text, logprobs });
      })
      .join('');
  }

  #delta({ index, text, tokenIds, logprobs }: ChoiceDelta): string {
    const { form } = this.#options;
    const hasLogprobs = form.numLogprobs !== undefined && logprobs.length > 0;
    if (text === '' && !hasLogprobs && !form.returnsTokenIds) return '';
    return this.#chunk(index, {
      text,
      ...(hasLogprobs ? { logprobs: this.#logprobs[index]?.write(logprobs) } : {}),
      ...(form.returnsTokenIds ? { token_ids: tokenIds } : {}),
    });
  }

  #finish(finish: ChoiceFinish): string {
    return this.#chunk(finish.index, {
      text: '',
      finish_reason: finishReason(finish),
      stop_reason: stopReason(finish),
    });
  }

  #chunk(index: number, parts: Readonly<Record<string, unknown>>): string {
    const choice = {
      index: this.#options.firstIndex + index,
      text: '',
      logprobs: null,
      finish_reason: null,
      ...parts,
    };
    return this.#options.frame.chunk(JSON.stringify(choice), this.#options.usage);
  }
}
