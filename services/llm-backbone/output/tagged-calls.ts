import type { CallWriter } from './call-writer.ts';
import type { ChoiceEnd, Emit, OutputPiece, OutputStage } from './output-stage.ts';
import { TagReader } from './tag-reader.ts';

const CALL_OPEN = '<tool_call>';
export const CALL_CLOSE = '</tool_call>';

/** Reads one call of a tool, from behind its opening tag. */
export interface CallReader {
  /** Takes text and emits of the call what is certain. Returns the text behind the call at its end. */
  push(text: string, emit: Emit): string | null;
  /** Emits what was held back of a call that has no end. */
  flush(emit: Emit): void;
  /** False until the name of the tool is known. */
  readonly isOpen: boolean;
  /** Set if the text is no call, which is certain only while the name is not known. */
  readonly isBroken: boolean;
}

export interface TaggedCallsOptions {
  readonly writer: CallWriter;
  /** Makes the reader of the next call. */
  readonly createReader: () => CallReader;
  /** Tags inside a call, besides the two around it. */
  readonly innerTags: readonly string[];
}

/** Separates calls, each between `<tool_call>` and `</tool_call>`, from the text around them. */
export class TaggedCalls implements OutputStage {
  readonly tags: readonly string[];
  readonly #writer: CallWriter;
  readonly #createReader: () => CallReader;
  readonly #text = new TagReader();
  /** Null outside of calls. */
  #reader: CallReader | null = null;
  /** Text of a call whose name is not known, which may turn out to be content. */
  #unopened = '';

  constructor({ writer, createReader, innerTags }: TaggedCallsOptions) {
    this.tags = [CALL_OPEN, CALL_CLOSE, ...innerTags];
    this.#writer = writer;
    this.#createReader = createReader;
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
    if (this.#reader?.isOpen === true) this.#reader.flush(emit);
    else {
      const unopened = this.#reader === null ? '' : CALL_OPEN + this.#unopened;
      this.#writer.content(unopened + this.#text.takeAll(), emit);
    }
    this.#writer.flush(emit);
  }

  /** Reads on; returns false if it takes more text. */
  #step(emit: Emit): boolean {
    if (this.#reader === null) {
      const { text, tag } = this.#text.take([CALL_OPEN]);
      this.#writer.content(text, emit);
      if (tag === null) return false;
      this.#reader = this.#createReader();
      this.#unopened = '';
    }
    const text = this.#text.takeAll();
    const rest = this.#reader.push(text, emit);
    if (this.#reader.isBroken) return this.#giveUp(this.#unopened + text, emit);
    if (!this.#reader.isOpen) this.#unopened += text;
    if (rest === null) return false;
    this.#reader = null;
    this.#text.putBack(rest);
    return true;
  }

  /** Takes the opening tag as content, and reads what follows it again. */
  #giveUp(text: string, emit: Emit): boolean {
    this.#reader = null;
    this.#writer.content(CALL_OPEN, emit);
    this.#text.putBack(text);
    return true;
  }
}
