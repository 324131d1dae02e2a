import type { CallWriter } from './call-writer.ts';
import { JsonScanner } from './json-scanner.ts';
import type { Emit } from './output-stage.ts';
import { TagReader } from './tag-reader.ts';
import { CALL_CLOSE, type CallReader } from './tagged-calls.ts';

/** What is read next. */
type Phase = 'object' | 'key' | 'keyText' | 'colon' | 'start' | 'value' | 'comma' | 'close';

/** Characters that lead from one phase to another, behind white space. */
const NEXT: Readonly<Record<string, Readonly<Record<string, Phase>>>> = {
  object: { '{': 'key' },
  key: { '"': 'keyText', '}': 'close' },
  colon: { ':': 'start' },
  comma: { ',': 'key', '}': 'close' },
};

/** Members whose value is the arguments. */
const ARGUMENTS: ReadonlySet<string> = new Set(['arguments', 'parameters']);

/**
 * Reads a call as Hermes and Qwen models write it: `{"name": …, "arguments": {…}}`. Once the name is
 * known, the arguments are emitted while they come, as they are written.
 */
export class JsonCall implements CallReader {
  readonly #writer: CallWriter;
  readonly #text = new TagReader();
  #phase: Phase = 'object';
  #scanner = new JsonScanner();
  #key = '';
  /** Key or value as far as it has come, unless it is emitted while it comes. */
  #written = '';
  #isEmitted = false;
  /** Arguments whose name has not come; null: none. */
  #early: string | null = null;
  #hasArguments = false;
  isOpen = false;
  isBroken = false;

  constructor(writer: CallWriter) {
    this.#writer = writer;
  }

  push(text: string, emit: Emit): string | null {
    this.#text.add(text);
    while (!this.isBroken && this.#phase !== 'close') {
      if (!this.#step(emit)) return null;
    }
    return this.isBroken ? null : this.#readClose(emit);
  }

  flush(): void {}

  /** Reads on; returns false if that takes more text. */
  #step(emit: Emit): boolean {
    switch (this.#phase) {
      case 'keyText':
        return this.#scan(emit, () => this.#endKey());
      case 'start':
        return this.#startValue();
      case 'value':
        return this.#scan(emit, () => this.#endValue(emit));
      default:
        return this.#skipTo(NEXT[this.#phase] ?? {});
    }
  }

  /** Reads the next character that is no white space and goes where it leads. */
  #skipTo(next: Readonly<Record<string, Phase>>): boolean {
    const text = this.#text.takeAll().trimStart();
    if (text === '') return false;
    const phase = next[text.charAt(0)];
    if (phase === undefined) return this.#break();
    this.#phase = phase;
    this.#begin();
    this.#text.putBack(phase === 'keyText' ? text : text.slice(1));
    return true;
  }

  #begin(): void {
    this.#scanner = new JsonScanner();
    this.#written = '';
    this.#isEmitted = false;
  }

  #startValue(): boolean {
    const text = this.#text.takeAll().trimStart();
    this.#text.putBack(text);
    if (text === '') return false;
    this.#begin();
    this.#isEmitted = this.isOpen && ARGUMENTS.has(this.#key) && text.startsWith('{');
    this.#phase = 'value';
    return true;
  }

  /** Reads a key or value up to its end. */
  #scan(emit: Emit, onEnd: () => void): boolean {
    const text = this.#text.takeAll();
    const end = this.#scanner.endIn(text, 0);
    const read = end === -1 ? text : text.slice(0, end);
    if (this.#isEmitted) this.#writer.argumentText(read, emit);
    else this.#written += read;
    if (end === -1) return false;
    this.#text.putBack(text.slice(end));
    onEnd();
    return true;
  }

  #endKey(): void {
    const key = parsed(this.#written);
    this.#key = typeof key === 'string' ? key : '';
    this.#phase = 'colon';
  }

  #endValue(emit: Emit): void {
    this.#phase = 'comma';
    if (this.#key === 'name') this.#open(parsed(this.#written), emit);
    if (!ARGUMENTS.has(this.#key) || this.#hasArguments) return;
    this.#hasArguments = true;
    if (this.#isEmitted) return;
    const json = argumentsOf(this.#written);
    if (this.isOpen) this.#writer.argumentText(json, emit);
    else this.#early = json;
  }

  #open(name: unknown, emit: Emit): void {
    if (this.isOpen) return;
    if (typeof name !== 'string' || name.trim() === '') {
      this.#break();
      return;
    }
    this.isOpen = true;
    this.#writer.open(name.trim(), emit);
    if (this.#early !== null) this.#writer.argumentText(this.#early, emit);
  }

  /** Gives up what is no call; behind its name a call is one, and its faults last to its end. */
  #break(): boolean {
    if (this.isOpen) this.#phase = 'close';
    else this.isBroken = true;
    return true;
  }

  #readClose(emit: Emit): string | null {
    if (!this.isOpen) {
      this.isBroken = true;
      return null;
    }
    const { tag } = this.#text.take([CALL_CLOSE]);
    if (tag === null) return null;
    if (!this.#hasArguments) this.#writer.argumentText('{}', emit);
    this.#writer.close();
    return this.#text.takeAll();
  }
}

/** Returns written arguments as a JSON object's text: some models write it in quotes, or null. */
function argumentsOf(written: string): string {
  const value = parsed(written);
  if (typeof value === 'string') return value;
  return value === null ? '{}' : written;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
