import type { AnswerEvent } from '#gateway/openai/answer/event.ts';
import { createCallId } from '#gateway/openai/answer/tool-call.ts';
import { UsageMeter } from '#gateway/openai/answer/usage.ts';
import { MeshError } from '#mesh/errors.ts';
import {
  Channel,
  type ChoiceDelta,
  type ChoiceFinish,
  type ToolCallDelta,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import {
  type BlockKind,
  contentBlock,
  messageHead,
  messageStop,
  messageUsage,
  toolBlock,
} from './message-parts.ts';
import type { MessageForm } from './message-response.ts';

/** An event that says only that the stream lives. */
export const PING_FRAME = eventFrame({ type: 'ping' });

/** Writes one event of a stream, which has the name of its type. */
export function eventFrame(event: Readonly<Record<string, unknown>> & { readonly type: string }) {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

/** Writes the stream of a message: its start, blocks of thoughts, text and calls, its end. */
export class MessageEvents {
  readonly #form: MessageForm;
  readonly #meter = new UsageMeter();
  /** The kind of the block that is open, of a call its index; and the index of the block. */
  #open: BlockKind | number | undefined;
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

  #delta({ text, channel, toolCall }: ChoiceDelta): string {
    if (toolCall !== undefined) return this.#call(toolCall, text);
    const isThought = channel === Channel.CHANNEL_REASONING;
    if (text === '' || (isThought && this.#form.reasoning === 'hidden')) return '';
    const kind = isThought ? 'thinking' : 'text';
    const begun = this.#open === kind ? '' : this.#begin(kind, contentBlock(kind, ''));
    const delta = isThought
      ? { type: 'thinking_delta', thinking: text }
      : { type: 'text_delta', text };
    return begun + this.#continue(delta);
  }

  /** Begins or continues a call of a tool. */
  #call({ index, name }: ToolCallDelta, text: string): string {
    const begun = name === undefined ? '' : this.#begin(index, toolBlock(createCallId(), name, {}));
    return text === ''
      ? begun
      : begun + this.#continue({ type: 'input_json_delta', partial_json: text });
  }

  #begin(kind: BlockKind | number, content_block: object): string {
    const closed = this.#close();
    this.#open = kind;
    return closed + eventFrame({ type: 'content_block_start', index: this.#index, content_block });
  }

  #continue(delta: object): string {
    return eventFrame({ type: 'content_block_delta', index: this.#index, delta });
  }

  #close(): string {
    if (this.#open === undefined) return '';
    this.#open = undefined;
    return eventFrame({ type: 'content_block_stop', index: this.#index++ });
  }
}
