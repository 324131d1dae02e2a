import {
  type Accepted,
  Channel,
  type ChoiceDelta,
  type ChoiceFinish,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { AnswerForm } from './answer-form.ts';
import { ChunkFrame } from './chunk-frame.ts';
import type { Envelope } from './envelope.ts';
import { type AnswerEvent, finishReason, stopReason } from './event.ts';
import { chatLogprobs } from './logprobs.ts';
import { totalUsage, UsageMeter } from './usage.ts';

/** Writes a chat completion stream: role, content, finish, usage, [DONE]. */
export class ChatChunks {
  readonly #frame: ChunkFrame;
  readonly #form: AnswerForm;
  readonly #echoText: string;
  readonly #meter = new UsageMeter();
  readonly #usage = () => totalUsage([this.#meter]);

  constructor(envelope: Envelope, form: AnswerForm, echoText: string) {
    this.#frame = new ChunkFrame('chat.completion.chunk', envelope, form.streamUsage);
    this.#form = form;
    this.#echoText = echoText;
  }

  /** Returns the frames of one event; "" if it has no news. */
  write(event: AnswerEvent): string {
    this.#meter.observe(event);
    switch (event.$case) {
      case 'accepted':
        return this.#opening(event.value);
      case 'promptLogprobs':
        return '';
      case 'delta':
        return event.value.choices.map((choice) => this.#delta(choice)).join('');
      case 'finished':
        return event.value.choices.map((choice) => this.#finish(choice)).join('');
    }
  }

  /** Returns usage, if asked for, and the mark of a complete stream. */
  end(): string {
    return this.#frame.end(this.#usage);
  }

  #opening(accepted: Accepted): string {
    const ids = this.#form.returnsTokenIds
      ? `,"prompt_token_ids":${JSON.stringify(accepted.promptTokenIds)}`
      : '';
    const echo = JSON.stringify(this.#echoText);
    let frames = '';
    for (let index = 0; index < this.#form.numChoices; index++) {
      frames += this.#choice(index, '{"role":"assistant","content":""}', ids);
      if (this.#echoText !== '') frames += this.#choice(index, `{"content":${echo}}`, '');
    }
    return frames;
  }

  #choice(index: number, delta: string, extras: string): string {
    const json = `{"index":${index},"delta":${delta},"logprobs":null,"finish_reason":null${extras}}`;
    return this.#frame.chunk(json, this.#usage);
  }

  #delta({ index, text, channel, tokenIds, logprobs }: ChoiceDelta): string {
    const { numLogprobs, returnsTokenIds, tokensAsIds } = this.#form;
    const hasLogprobs = numLogprobs !== undefined && logprobs.length > 0;
    // Text may lag behind its tokens; a chunk without any news is not sent.
    if (text === '' && !hasLogprobs && !returnsTokenIds) return '';
    const written = JSON.stringify(text);
    const delta =
      channel === Channel.CHANNEL_REASONING
        ? `{"reasoning_content":${written},"reasoning":${written}}`
        : `{"content":${written}}`;
    const list = hasLogprobs
      ? JSON.stringify({ content: chatLogprobs(logprobs, tokensAsIds) })
      : 'null';
    const ids = returnsTokenIds ? `,"token_ids":${JSON.stringify(tokenIds)}` : '';
    const json = `{"index":${index},"delta":${delta},"logprobs":${list},"finish_reason":null${ids}}`;
    return this.#frame.chunk(json, this.#usage);
  }

  #finish(finish: ChoiceFinish): string {
    const choice = {
      index: finish.index,
      delta: {},
      logprobs: null,
      finish_reason: finishReason(finish),
      stop_reason: stopReason(finish),
    };
    return this.#frame.chunk(JSON.stringify(choice), this.#usage);
  }
}
