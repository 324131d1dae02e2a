type Json = Readonly<Record<string, unknown>>;

/** Messages as a chat has them, and the client's path for each path in them. */
export interface ChatMessages {
  readonly messages: Json[];
  readonly names: Map<string, string>;
}

/** A part or a call of a chat message, and the client's path of what it was. */
export interface Placed {
  readonly part: Json;
  readonly at: string;
  /** The client's path of the image, if it is one. */
  readonly media?: string;
}

/** A content, and the client's path of it. */
interface MessageContent {
  /** Null in a turn of calls alone. */
  readonly content: string | readonly Placed[] | null;
  readonly at: string;
}

/** Adds a message; returns its index. */
export function addMessage(
  chat: ChatMessages,
  fields: Json,
  { content, at }: MessageContent,
): number {
  const isWhole = typeof content === 'string' || content === null;
  const written = isWhole ? content : content.map(({ part }) => part);
  const index = chat.messages.push({ ...fields, content: written }) - 1;
  const path = `messages[${index}]`;
  chat.names.set(path, at).set(`${path}.content`, at);
  if (isWhole) return index;
  for (const [i, { at: place, media }] of content.entries()) {
    const part = `${path}.content[${i}]`;
    chat.names.set(part, place);
    if (media !== undefined) {
      chat.names.set(`${part}.image_url`, media).set(`${part}.image_url.url`, media);
    }
  }
  return index;
}

/**
 * A turn of the assistant, which is several items in a row: thoughts, a text, calls. A chat has one
 * message for them, or the results of calls would not follow the message that has the calls.
 */
export class AssistantTurn {
  readonly #at: string;
  readonly #thoughts: string[] = [];
  readonly #calls: Placed[] = [];
  #content: readonly Placed[] | undefined;

  /** Begins a turn with the item at `at`. */
  constructor(at: string) {
    this.#at = at;
  }

  /** True if thoughts or a text would belong to a further turn. */
  get hasText(): boolean {
    return this.#content !== undefined;
  }

  addThoughts(text: string): void {
    if (text !== '') this.#thoughts.push(text);
  }

  addText(parts: readonly Placed[]): void {
    this.#content = parts;
  }

  addCall(call: Placed): void {
    this.#calls.push(call);
  }

  /** Writes the turn as a message. */
  end(chat: ChatMessages): void {
    const calls = this.#calls;
    const fields = {
      role: 'assistant',
      ...(this.#thoughts.length === 0 ? {} : { reasoning: this.#thoughts.join('\n') }),
      ...(calls.length === 0 ? {} : { tool_calls: calls.map(({ part }) => part) }),
    };
    const index = addMessage(chat, fields, { content: this.#content ?? null, at: this.#at });
    for (const [i, { at }] of calls.entries()) {
      const path = `messages[${index}].tool_calls[${i}]`;
      chat.names.set(path, at).set(`${path}.id`, `${at}.call_id`).set(`${path}.function`, at);
    }
  }
}
