import type { CallWriter } from './call-writer.ts';
import { JsonScanner } from './json-scanner.ts';
import type { ChoiceEnd, Emit, OutputPiece, OutputStage } from './output-stage.ts';
import { TagReader } from './tag-reader.ts';

/** Opens each message of an answer that has several. */
const ASSISTANT = '<|assistant|>';

/** Where the text is: at a line that may be a name, in another line, behind a name, in arguments. */
type Phase = 'lineStart' | 'line' | 'name' | 'arguments';

/**
 * Separates calls as GLM-4 writes them, without tags: a line that is the name of a tool, then a JSON
 * object with its arguments.
 */
export class NamedCalls implements OutputStage {
  readonly tags = [ASSISTANT];
  readonly #writer: CallWriter;
  readonly #names: readonly string[];
  readonly #text = new TagReader();
  #phase: Phase = 'lineStart';
  /** Line that may be a name, then the name with what separates it from its arguments. */
  #held = '';
  #scanner = new JsonScanner();

  constructor(writer: CallWriter, names: Iterable<string>) {
    this.#writer = writer;
    this.#names = [...names];
  }

  get end(): ChoiceEnd | null {
    return this.#writer.end;
  }

  push(piece: OutputPiece, emit: Emit): void {
    if (piece.channel !== 'content') {
      emit(piece);
      return;
    }
    this.#text.add(piece.text);
    while (this.end === null && this.#step(emit));
  }

  flush(emit: Emit): void {
    if (this.end !== null) return;
    this.#release(emit);
    this.#writer.content(this.#text.takeAll(), emit);
    this.#writer.flush(emit);
  }

  /** Reads on; returns false if that takes more text. */
  #step(emit: Emit): boolean {
    switch (this.#phase) {
      case 'lineStart':
      case 'line':
        return this.#readLine(emit);
      case 'name':
        return this.#readBrace(emit);
      case 'arguments':
        return this.#readArguments(emit);
    }
  }

  #readLine(emit: Emit): boolean {
    const { text, tag } = this.#text.take(['\n', ASSISTANT]);
    this.#held += text;
    if (this.#phase === 'lineStart' && tag === '\n' && this.#isName(this.#held.trim())) {
      this.#held += tag;
      this.#phase = 'name';
      return true;
    }
    if (tag !== null) {
      if (tag === '\n') this.#held += tag;
      this.#release(emit);
      this.#phase = 'lineStart';
      return true;
    }
    if (this.#phase === 'lineStart' && this.#mayBecomeName(this.#held)) return false;
    this.#release(emit);
    this.#phase = 'line';
    return false;
  }

  #readBrace(emit: Emit): boolean {
    const text = this.#text.takeAll();
    const rest = text.trimStart();
    this.#held += text.slice(0, text.length - rest.length);
    this.#text.putBack(rest);
    if (rest === '') return false;
    if (rest.startsWith('{')) {
      this.#writer.open(this.#held.trim(), emit);
      this.#held = '';
      this.#scanner = new JsonScanner();
      this.#phase = 'arguments';
    } else {
      this.#release(emit);
      this.#phase = 'lineStart';
    }
    return true;
  }

  #readArguments(emit: Emit): boolean {
    const text = this.#text.takeAll();
    const end = this.#scanner.endIn(text, 0);
    this.#writer.argumentText(end === -1 ? text : text.slice(0, end), emit);
    if (end === -1) return false;
    this.#writer.close();
    this.#text.putBack(text.slice(end));
    this.#phase = 'lineStart';
    return true;
  }

  #release(emit: Emit): void {
    if (this.#held !== '') this.#writer.content(this.#held, emit);
    this.#held = '';
  }

  #isName(line: string): boolean {
    return this.#names.includes(line);
  }

  #mayBecomeName(line: string): boolean {
    const start = line.trimStart();
    return this.#names.some((name) => name.startsWith(start)) || this.#isName(start.trimEnd());
  }
}
