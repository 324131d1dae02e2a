import { refusal } from '#gateway/openai/request/refusal.ts';
import { quoted } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import { AssistantTurn, addMessage, type ChatMessages } from './chat-turn.ts';
import { contentParts } from './content-parts.ts';

type Json = Readonly<Record<string, unknown>>;

/** Items that this server reads, for refusals. */
const KNOWN_ITEMS = 'message, reasoning, function_call, function_call_output';

/** Writes `instructions` and `input` as the messages of a chat. */
export function chatMessages(instructions: string | undefined, input: unknown): ChatMessages {
  const chat: ChatMessages = { messages: [], names: new Map() };
  if (instructions !== undefined) {
    addMessage(chat, { role: 'system' }, { content: instructions, at: 'instructions' });
  }
  if (typeof input === 'string') {
    addMessage(chat, { role: 'user' }, { content: input, at: 'input' });
    return chat;
  }
  if (!Array.isArray(input) || input.length === 0) {
    throw refusal('input', 'a text or a list of at least one item', input);
  }
  const items = new ItemReader(chat);
  for (const [i, item] of input.entries()) items.read(item, `input[${i}]`);
  items.end();
  return chat;
}

/** Reads items in their order, those of a turn of the assistant together. */
class ItemReader {
  readonly #chat: ChatMessages;
  #turn: AssistantTurn | undefined;

  constructor(chat: ChatMessages) {
    this.#chat = chat;
  }

  read(item: unknown, at: string): void {
    if (!isRecord(item)) throw refusal(at, 'an object with a type', item);
    const { type = item['role'] === undefined ? undefined : 'message' } = item;
    switch (type) {
      case 'message':
        this.#message(item, at);
        return;
      case 'reasoning':
        this.#turnAt(at, { isNext: true }).addThoughts(thoughtsOf(item, at));
        return;
      case 'function_call':
        this.#turnAt(at, { isNext: false }).addCall({ part: callOf(item, at), at });
        return;
      case 'function_call_output':
        this.#output(item, at);
        return;
      default:
        throw foreignItem(type, at);
    }
  }

  end(): void {
    this.#turn?.end(this.#chat);
    this.#turn = undefined;
  }

  #message({ role, content }: Json, at: string): void {
    const parts = contentParts(content, `${at}.content`);
    if (role === 'assistant') {
      this.#turnAt(at, { isNext: true }).addText(parts);
      return;
    }
    if (role !== 'user' && role !== 'system' && role !== 'developer') {
      throw refusal(`${at}.role`, 'one of user, assistant, system, developer', role);
    }
    this.end();
    const written = typeof content === 'string' ? content : parts;
    addMessage(this.#chat, { role }, { content: written, at: `${at}.content` });
  }

  /** Returns the turn to which an item belongs; `isNext`: one with a text is not that. */
  #turnAt(at: string, { isNext }: { readonly isNext: boolean }): AssistantTurn {
    if (isNext && this.#turn?.hasText === true) this.end();
    this.#turn ??= new AssistantTurn(at);
    return this.#turn;
  }

  /** Adds a result of a function as a message of its own. */
  #output({ call_id: id, output }: Json, at: string): void {
    this.end();
    const parts = contentParts(output, `${at}.output`);
    const content = typeof output === 'string' ? output : parts;
    const fields = { role: 'tool', tool_call_id: textOf(id, `${at}.call_id`) };
    const index = addMessage(this.#chat, fields, { content, at: `${at}.output` });
    this.#chat.names.set(`messages[${index}].tool_call_id`, `${at}.call_id`);
  }
}

function callOf({ call_id: id, name, arguments: json }: Json, at: string): Json {
  const called = { name, arguments: textOf(json, `${at}.arguments`) };
  return { id: textOf(id, `${at}.call_id`), type: 'function', function: called };
}

/** Reads thoughts: their text, or a summary if a client keeps only that. */
function thoughtsOf(item: Json, at: string): string {
  const [text, summary] = ['content', 'summary'].map((field) => {
    const parts = item[field] ?? [];
    if (!Array.isArray(parts)) throw refusal(`${at}.${field}`, 'a list of parts', parts);
    const texts = parts.map((part: unknown, i) => {
      const place = `${at}.${field}[${i}]`;
      if (!isRecord(part)) throw refusal(place, 'an object with a text', part);
      return textOf(part['text'], `${place}.text`);
    });
    return texts.join('\n');
  });
  return text || summary || '';
}

function textOf(value: unknown, at: string): string {
  if (typeof value === 'string') return value;
  throw refusal(at, 'a text', value);
}

function foreignItem(type: unknown, at: string): MeshError {
  const param = `${at}.type`;
  if (type === 'item_reference') {
    const message = `${param}: this server keeps no items; send the item itself`;
    return new MeshError('INVALID_REQUEST', message, { param });
  }
  if (typeof type !== 'string') return refusal(param, `one of ${KNOWN_ITEMS}`, type);
  const message = `${param}: ${quoted(type)} items are not accepted by this server, only ${KNOWN_ITEMS}`;
  return new MeshError('INVALID_REQUEST', message, { param });
}
