import { chatLogprobs, type LateLogprobs } from '#gateway/openai/answer/logprobs.ts';
import { createCallId } from '#gateway/openai/answer/tool-call.ts';
import {
  Channel,
  type ChoiceDelta,
  type ToolCallDelta,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { createId } from './response-id.ts';

type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

/** A text of a message. */
interface OutputText {
  readonly type: 'output_text';
  readonly text: string;
  readonly annotations: readonly never[];
  readonly logprobs: readonly LateLogprobs[];
}

/** A text of thoughts. */
interface ReasoningText {
  readonly type: 'reasoning_text';
  readonly text: string;
}

/** An item of an answer: thoughts, a message, or a call. */
export type OutputItem =
  | {
      readonly type: 'reasoning';
      readonly id: string;
      readonly status: ItemStatus;
      readonly summary: readonly never[];
      readonly content: readonly ReasoningText[];
      readonly encrypted_content: null;
    }
  | {
      readonly type: 'message';
      readonly id: string;
      readonly status: ItemStatus;
      readonly role: 'assistant';
      readonly content: readonly OutputText[];
    }
  | {
      readonly type: 'function_call';
      readonly id: string;
      readonly status: ItemStatus;
      readonly call_id: string;
      readonly name: string;
      readonly arguments: string;
    };

/** An event of a stream, without its number in it. */
export type ItemEvent = { readonly type: string } & Readonly<Record<string, unknown>>;

/** The item that is open, with what it has so far. */
interface OpenItem {
  /** The kind of the item, of a call its index. */
  readonly kind: 'reasoning' | 'message' | number;
  readonly id: string;
  readonly callId: string;
  readonly name: string;
  text: string;
  readonly logprobs: LateLogprobs[];
}

/**
 * Gathers the items of one answer, and tells each step of them as events: so a whole answer and the
 * last event of a stream have the same.
 */
export class OutputItems {
  readonly #hasLogprobs: boolean;
  readonly #done: OutputItem[] = [];
  #open: OpenItem | undefined;

  constructor({ hasLogprobs }: { readonly hasLogprobs: boolean }) {
    this.#hasLogprobs = hasLogprobs;
  }

  /** The items that have ended. */
  get items(): readonly OutputItem[] {
    return this.#done;
  }

  /** Adds what one event has for the answer. */
  add(entry: ChoiceDelta): ItemEvent[] {
    const { text, channel, toolCall } = entry;
    if (toolCall !== undefined) return this.#addCall(toolCall, text);
    const kind = channel === Channel.CHANNEL_REASONING ? 'reasoning' : 'message';
    const logprobs =
      this.#hasLogprobs && kind === 'message' ? chatLogprobs(entry.logprobs, false) : [];
    // Text may lag behind its tokens, whose log-probabilities do not.
    if (text === '' && logprobs.length === 0) return [];
    const events = this.#open?.kind === kind ? [] : this.#begin(kind);
    const open = this.#open;
    if (open === undefined) return events;
    open.text += text;
    open.logprobs.push(...logprobs);
    const place = this.#place(open);
    events.push(
      kind === 'reasoning'
        ? { type: 'response.reasoning_text.delta', ...place, content_index: 0, delta: text }
        : { type: 'response.output_text.delta', ...place, content_index: 0, delta: text, logprobs },
    );
    return events;
  }

  /** Ends the last item; one that the end of the answer has cut is incomplete. */
  end(status: 'completed' | 'incomplete'): ItemEvent[] {
    const open = this.#open;
    if (open === undefined) return [];
    const item = itemOf(open, status);
    const place = this.#place(open);
    this.#done.push(item);
    this.#open = undefined;
    const events = item.type === 'function_call' ? callDone(place, item) : textDone(place, item);
    events.push({ type: 'response.output_item.done', output_index: place.output_index, item });
    return events;
  }

  /** Begins or continues a call. */
  #addCall({ index, name }: ToolCallDelta, text: string): ItemEvent[] {
    const events = name === undefined ? [] : this.#begin(index, name);
    const open = this.#open;
    if (open === undefined || text === '') return events;
    open.text += text;
    const type = 'response.function_call_arguments.delta';
    events.push({ type, ...this.#place(open), delta: text });
    return events;
  }

  #begin(kind: OpenItem['kind'], name = ''): ItemEvent[] {
    const events = this.end('completed');
    const open = {
      kind,
      id: createId(kind === 'reasoning' ? 'rs' : kind === 'message' ? 'msg' : 'fc'),
      callId: createCallId(),
      name,
      text: '',
      logprobs: [],
    };
    this.#open = open;
    const place = this.#place(open);
    const item = itemOf(open, 'in_progress');
    events.push({ type: 'response.output_item.added', output_index: place.output_index, item });
    if (item.type === 'function_call') return events;
    const part = item.type === 'reasoning' ? reasoningText(open) : outputText(open);
    events.push({ type: 'response.content_part.added', ...place, content_index: 0, part });
    return events;
  }

  #place({ id }: OpenItem) {
    return { item_id: id, output_index: this.#done.length };
  }
}

/** Writes an item; in progress its content is empty, since its parts have events of their own. */
function itemOf(open: OpenItem, status: ItemStatus): OutputItem {
  const { kind, id, callId, name, text } = open;
  const isBegun = status === 'in_progress';
  if (kind === 'reasoning') {
    const content = isBegun ? [] : [reasoningText(open)];
    return { id, type: kind, status, summary: [], content, encrypted_content: null };
  }
  if (kind === 'message') {
    const content = isBegun ? [] : [outputText(open)];
    return { id, type: kind, status, role: 'assistant', content };
  }
  return { id, type: 'function_call', status, call_id: callId, name, arguments: text };
}

function reasoningText({ text }: OpenItem): ReasoningText {
  return { type: 'reasoning_text', text };
}

function outputText({ text, logprobs }: OpenItem): OutputText {
  return { type: 'output_text', text, annotations: [], logprobs };
}

type Place = { readonly item_id: string; readonly output_index: number };

function callDone(
  place: Place,
  item: OutputItem & { readonly type: 'function_call' },
): ItemEvent[] {
  const { name, arguments: json } = item;
  return [{ type: 'response.function_call_arguments.done', ...place, name, arguments: json }];
}

function textDone(
  place: Place,
  { content: [part] }: OutputItem & { readonly type: 'reasoning' | 'message' },
): ItemEvent[] {
  if (part === undefined) return [];
  const { text } = part;
  const at = { ...place, content_index: 0 };
  return [
    part.type === 'reasoning_text'
      ? { type: 'response.reasoning_text.done', ...at, text }
      : { type: 'response.output_text.done', ...at, text, logprobs: part.logprobs },
    { type: 'response.content_part.done', ...at, part },
  ];
}
