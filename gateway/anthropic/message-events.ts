import type { AnswerEvent } from '#gateway/openai/answer/event.ts';
import { UsageMeter } from '#gateway/openai/answer/usage.ts';
import { MeshError } from '#mesh/errors.ts';
import {
  Channel,
  type ChoiceDelta,
  type ChoiceFinish,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import {
  type BlockKind,
  contentBlock,
  messageHead,
  messageStop,
  messageUsage,
} from './message-parts.ts';
import type { MessageForm } from './message-response.ts';

/** An event that says only that the stream lives. */
export const PING_FRAME = eventFrame({ type: 'ping' });

/** Writes one event of a stream, which has the name of its type. */
export function eventFrame(event: Readonly<Record<string, unknown>> & { readonly type: string }) {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

/** Writes the stream of a message: its start, blocks of thoughts and text, its end. */
export class MessageEvents {
  readonly #form: MessageForm;
  readonly #meter = new UsageMeter();
  /** The block that is open, and the index of the next one. */
  #open: BlockKind | undefined;
  #index = 0;
  #finish: ChoiceFinish | undefined;

  constructor(form: MessageForm) {
    this.#form = form;
  }

  /** Returns the frames of one event; "" if it has no news. */
  write(event: AnswerEvent): string {
    this.#meter.observe(event);
    switch (event.$case) {
      case 'accepted':
        return this.#start() + PING_FRAME;
      case 'promptLogprobs':
      case 'embedding':
        return '';
      case 'delta':
        return event.value.choices.map((entry) => this.#delta(entry)).join('');
      case 'finished':
        this.#finish = event.value.choices[0];
        return '';
    }
  }

  /** Returns the end of a complete stream. */
  end(): string {
    if (this.#finish === undefined) {
      throw new MeshError('ENGINE_FAILED', 'the backbone did not say how the answer ended');
    }
    const delta = messageStop(this.#finish);
    const usage = messageUsage(this.#meter);
    return `${this.#close()}${eventFrame({ type: 'message_delta', delta, usage })}${eventFrame({ type: 'message_stop' })}`;
  }

  #start(): string {
    const usage = messageUsage(this.#meter);
    const message = { ...messageHead(this.#form.model), content: [], ...messageStop(), usage };
    return eventFrame({ type: 'message_start', message });
  }

  #delta({ text, channel }: ChoiceDelta): string {
    const isThought = channel === Channel.CHANNEL_REASONING;
    if (text === '' || (isThought && this.#form.reasoning === 'hidden')) return '';
    const kind = isThought ? 'thinking' : 'text';
    const delta = isThought
      ? { type: 'thinking_delta', thinking: text }
      : { type: 'text_delta', text };
    const begun = this.#begin(kind);
    return begun + eventFrame({ type: 'content_block_delta', index: this.#index, delta });
  }

  /** Opens a block of a kind, unless one is open. */
  #begin(kind: BlockKind): string {
    if (this.#open === kind) return '';
    const closed = this.#close();
    this.#open = kind;
    const content_block = contentBlock(kind, '');
    return closed + eventFrame({ type: 'content_block_start', index: this.#index, content_block });
  }

  #close(): string {
    if (this.#open === undefined) return '';
    this.#open = undefined;
    return eventFrame({ type: 'content_block_stop', index: this.#index++ });
  }
}
