import { overlap } from './stop-matcher.ts';

export type TextChannel = 'content' | 'reasoning';

/** Text of one channel. */
export interface TextPiece {
  readonly channel: TextChannel;
  readonly text: string;
}

export const THINK_OPEN = '<think>';
export const THINK_CLOSE = '</think>';

/**
 * Separates the first `<think>…</think>` of an answer from the rest and drops the two tags. A second
 * opening tag inside is part of the thoughts, any tag after the first closing one is content.
 */
export class ReasoningSplitter {
  #phase: 'before' | 'inside' | 'after';
  #held = '';

  /** `isOpen`: the prompt already ended inside the thoughts. */
  constructor(options: { readonly isOpen: boolean }) {
    this.#phase = options.isOpen ? 'inside' : 'before';
  }

  push(piece: string): TextPiece[] {
    const pieces: TextPiece[] = [];
    let text = this.#held + piece;
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
      this.#add(pieces, text.slice(0, start));
      text = text.slice(start + tag.length);
      this.#phase = this.#phase === 'before' ? 'inside' : 'after';
    }
    this.#add(pieces, text);
    return pieces;
  }

  /** Text that was held back and turned out not to be a tag. */
  flush(): TextPiece[] {
    const pieces: TextPiece[] = [];
    this.#add(pieces, this.#held);
    this.#held = '';
    return pieces;
  }

  #add(pieces: TextPiece[], text: string): void {
    if (text === '') return;
    pieces.push({ channel: this.#phase === 'inside' ? 'reasoning' : 'content', text });
  }
}
