import type { Emit, OutputPiece, OutputStage } from './output-stage.ts';
import { TagReader } from './tag-reader.ts';

export const THINK_OPEN = '<think>';
export const THINK_CLOSE = '</think>';

export interface ReasoningSplitterOptions {
  /** Tells that the prompt already ended inside the thoughts. */
  readonly isOpen: boolean;
  /** Leaves the two tags in the thoughts instead of dropping them. */
  readonly keepsTags?: boolean;
}

/**
 * Separates the first `<think>…</think>` of an answer from the rest. A second opening tag inside is
 * part of the thoughts; any tag after the first closing one is content.
 */
export class ReasoningSplitter implements OutputStage {
  readonly tags = [THINK_OPEN, THINK_CLOSE];
  readonly #keepsTags: boolean;
  readonly #text = new TagReader();
  #phase: 'before' | 'inside' | 'after';

  constructor({ isOpen, keepsTags = false }: ReasoningSplitterOptions) {
    this.#keepsTags = keepsTags;
    this.#phase = isOpen ? 'inside' : 'before';
  }

  push(piece: OutputPiece, emit: Emit): void {
    this.#text.add(piece.text);
    while (this.#phase !== 'after') {
      const isBefore = this.#phase === 'before';
      const { text, tag } = this.#text.take([isBefore ? THINK_OPEN : THINK_CLOSE]);
      this.#emitText(text, emit);
      if (tag === null) return;
      this.#phase = 'inside';
      if (this.#keepsTags) this.#emitText(tag, emit);
      if (!isBefore) this.#phase = 'after';
    }
    this.#emitText(this.#text.takeAll(), emit);
  }

  /** Emits text that was held back and turned out not to be a tag. */
  flush(emit: Emit): void {
    this.#emitText(this.#text.takeAll(), emit);
  }

  #emitText(text: string, emit: Emit): void {
    if (text !== '') emit({ channel: this.#phase === 'inside' ? 'reasoning' : 'content', text });
  }
}
