import type { Emit, OutputStage, TextPiece } from './output-stage.ts';
import { overlap } from './stop-matcher.ts';

export const THINK_OPEN = '<think>';
export const THINK_CLOSE = '</think>';

/**
 * Separates the first `<think>…</think>` of an answer from the rest and drops the two tags. A
 * second opening tag inside is part of the thoughts; any tag after the first closing one is
 * content.
 */
export class ReasoningSplitter implements OutputStage {
  readonly tags = [THINK_OPEN, THINK_CLOSE];
  #phase: 'before' | 'inside' | 'after';
  #held = '';

  /** `isOpen` tells that the prompt already ended inside the thoughts. */
  constructor(options: { readonly isOpen: boolean }) {
    this.#phase = options.isOpen ? 'inside' : 'before';
  }

  push(piece: TextPiece, emit: Emit): void {
    let text = this.#held + piece.text;
    this.#held = '';
    while (this.#phase !== 'after') {
      const tag = this.#phase === 'before' ? THINK_OPEN : THINK_CLOSE;
      const start = text.indexOf(tag);
      if (start === -1) {
        const numCertain = text.length - overlap(text, tag);
        this.#held = text.slice(numCertain);
        text = text.slice(0, numCertain);
        break;
      }
      this.#emitText(text.slice(0, start), emit);
      text = text.slice(start + tag.length);
      this.#phase = this.#phase === 'before' ? 'inside' : 'after';
    }
    this.#emitText(text, emit);
  }

  /** Emits text that was held back and turned out not to be a tag. */
  flush(emit: Emit): void {
    this.#emitText(this.#held, emit);
    this.#held = '';
  }

  #emitText(text: string, emit: Emit): void {
    if (text !== '') emit({ channel: this.#phase === 'inside' ? 'reasoning' : 'content', text });
  }
}
