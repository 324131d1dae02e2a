import type { ToolFunction } from '#mesh/prompt/tool-function.ts';
import { ArgumentType } from './argument-value.ts';
import type { CallWriter } from './call-writer.ts';
import type { Emit } from './output-stage.ts';
import { TagReader } from './tag-reader.ts';
import { CALL_CLOSE, type CallReader } from './tagged-calls.ts';

const KEY_OPEN = '<arg_key>';
const KEY_CLOSE = '</arg_key>';
const VALUE_OPEN = '<arg_value>';
const VALUE_CLOSE = '</arg_value>';
export const PAIR_TAGS = [KEY_OPEN, KEY_CLOSE, VALUE_OPEN, VALUE_CLOSE] as const;

/** Tags that may come next, and what they end. Text in front of a tag counts only where it is kept. */
const NEXT_TAGS = {
  // Some models write the two characters of an escaped newline.
  name: ['\n', '\\n', KEY_OPEN, CALL_CLOSE],
  pair: [KEY_OPEN, CALL_CLOSE],
  key: [KEY_CLOSE, CALL_CLOSE],
  gap: [VALUE_OPEN, KEY_OPEN, CALL_CLOSE],
  value: [VALUE_CLOSE],
} as const;

type Phase = keyof typeof NEXT_TAGS | 'closed' | 'broken';

/**
 * Reads a call as GLM-4.5 and later models write it: the name of the tool, then each argument as
 * `<arg_key>k</arg_key><arg_value>v</arg_value>`. Values have no quotes, so the schema says what they
 * are; a text is emitted while it comes.
 */
export class ArgumentPairs implements CallReader {
  readonly #writer: CallWriter;
  readonly #functions: ReadonlyMap<string, ToolFunction>;
  readonly #text = new TagReader();
  #phase: Phase = 'name';
  #name = '';
  #key = '';
  #type = new ArgumentType(null, '');
  /** Value that is not a text, as far as it has come. */
  #value = '';
  #numPairs = 0;

  constructor(writer: CallWriter, functions: ReadonlyMap<string, ToolFunction>) {
    this.#writer = writer;
    this.#functions = functions;
  }

  get isOpen(): boolean {
    return this.#phase !== 'name' && this.#phase !== 'broken';
  }

  get isBroken(): boolean {
    return this.#phase === 'broken';
  }

  push(text: string, emit: Emit): string | null {
    this.#text.add(text);
    for (;;) {
      if (this.#phase === 'closed') return this.#text.takeAll();
      if (this.#phase === 'broken') return null;
      const { text: before, tag } = this.#text.take(NEXT_TAGS[this.#phase]);
      this.#readText(before, emit);
      if (tag === null) return null;
      this.#readTag(tag, emit);
    }
  }

  flush(emit: Emit): void {
    if (this.#phase === 'value') this.#readText(this.#text.takeAll(), emit);
  }

  #readText(text: string, emit: Emit): void {
    if (this.#phase === 'name') this.#name += text;
    else if (this.#phase === 'key') this.#key += text;
    else if (this.#phase === 'value') {
      if (this.#type.isText) this.#writer.argumentText(JSON.stringify(text).slice(1, -1), emit);
      else this.#value += text;
    }
  }

  #readTag(tag: string, emit: Emit): void {
    if (this.#phase === 'name' && !this.#readName(tag, emit)) return;
    switch (tag) {
      case KEY_OPEN:
        this.#key = '';
        this.#phase = 'key';
        return;
      case KEY_CLOSE:
        this.#phase = 'gap';
        return;
      case VALUE_OPEN:
        this.#openValue(emit);
        return;
      case VALUE_CLOSE:
        this.#writer.argumentText(this.#type.isText ? '"' : this.#type.json(this.#value), emit);
        this.#phase = 'pair';
        return;
      case CALL_CLOSE:
        this.#writer.argumentText(this.#numPairs === 0 ? '{}' : '}', emit);
        this.#writer.close();
        this.#phase = 'closed';
        return;
      default:
        this.#phase = 'pair';
    }
  }

  /** Opens the call; returns false if there is no name in front of the tag. */
  #readName(tag: string, emit: Emit): boolean {
    const name = this.#name.trim();
    if (name === '') {
      if (tag === KEY_OPEN || tag === CALL_CLOSE) this.#phase = 'broken';
      return false;
    }
    this.#name = name;
    this.#writer.open(name, emit);
    return true;
  }

  #openValue(emit: Emit): void {
    const key = this.#key.trim();
    this.#type = new ArgumentType(this.#functions.get(this.#name)?.parameters ?? null, key);
    this.#value = '';
    const start = this.#numPairs++ === 0 ? '{' : ',';
    const quote = this.#type.isText ? '"' : '';
    this.#writer.argumentText(`${start}${JSON.stringify(key)}:${quote}`, emit);
    this.#phase = 'value';
  }
}
