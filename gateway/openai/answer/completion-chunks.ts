import { jsonInTurns } from '#mesh/async/json-in-turns.ts';
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
import { CompletionLogprobsWriter, emptyLists } from './logprobs.ts';
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
  /** Indices of the choices whose finish has been written. */
  readonly #finished = new Set<number>();
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

  write(event: AnswerEvent): string | Promise<string> {
    this.#options.meter.observe(event);
    switch (event.$case) {
      case 'accepted':
        return this.#opening(event.value);
      case 'promptLogprobs':
        return this.#echoWithLogprobs(event.value);
      case 'embedding':
        return '';
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

  async #echoWithLogprobs(prompt: PromptLogprobs): Promise<string> {
    const { frame, usage } = this.#options;
    const { text, firstToken } = this.#echo ?? {};
    if (firstToken === undefined) return '';
    let frames = '';
    for (const [index, writer] of this.#logprobs.entries()) {
      const logprobs = writer.writePrompt(firstToken, prompt.tokens);
      const choice = this.#choice(index, { text, logprobs });
      frames += frame.chunk(String(await jsonInTurns(choice)), usage);
    }
    return frames;
  }

  #delta({ index, text, tokenIds, logprobs, finish }: ChoiceDelta): string {
    const { form } = this.#options;
    const hasLogprobs = form.numLogprobs !== undefined && logprobs.length > 0;
    const hasNews = text !== '' || hasLogprobs || form.returnsTokenIds;
    // Text may lag behind its tokens; a chunk without any news is not sent.
    if (!hasNews && finish === undefined) return '';
    if (finish !== undefined) this.#finished.add(index);
    return this.#chunk(index, {
      text,
      ...(hasLogprobs ? { logprobs: this.#logprobs[index]?.write(logprobs) } : {}),
      ...(finish === undefined ? {} : endOf(finish)),
      ...(form.returnsTokenIds ? { token_ids: tokenIds } : {}),
    });
  }

  /** Writes the finish of a choice that no token of this answer has ended. */
  #finish(finish: ChoiceFinish): string {
    if (this.#finished.has(finish.index)) return '';
    const ids = this.#options.form.returnsTokenIds ? { token_ids: [] } : {};
    return this.#chunk(finish.index, { ...endOf(finish), ...ids });
  }

  #chunk(index: number, parts: Readonly<Record<string, unknown>>): string {
    const { frame, usage } = this.#options;
    return frame.chunk(JSON.stringify(this.#choice(index, parts)), usage);
  }

  #choice(index: number, parts: Readonly<Record<string, unknown>>) {
    const { firstIndex, form } = this.#options;
    return {
      index: firstIndex + index,
      text: '',
      // Clients index the lists of every chunk of an answer with log-probabilities.
      logprobs: form.numLogprobs === undefined ? null : emptyLists(),
      finish_reason: null,
      stop_reason: null,
      prompt_token_ids: null,
      token_ids: null,
      ...parts,
    };
  }
}

function endOf(finish: ChoiceFinish) {
  return { finish_reason: finishReason(finish), stop_reason: stopReason(finish) };
}
