import { numIncompleteBytes } from '#backbone/checkpoint/incomplete-bytes.ts';
import type { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import type { Emit, OutputStage } from './output-stage.ts';

export interface DetokenizerOptions {
  readonly skipSpecialTokens: boolean;
  /** Special tokens that are written to the text nevertheless. */
  readonly visibleIds?: ReadonlySet<number>;
}

/** Turns token ids into text piece by piece and never splits a character. */
export class Detokenizer implements OutputStage<number> {
  readonly #vocabulary: Vocabulary;
  readonly #options: DetokenizerOptions;
  /** First bytes of a character that is not complete, at most three. */
  #pending: Buffer = Buffer.alloc(0);

  constructor(vocabulary: Vocabulary, options: DetokenizerOptions) {
    this.#vocabulary = vocabulary;
    this.#options = options;
  }

  push(tokenId: number, emit: Emit): void {
    if (isHidden(tokenId, this.#vocabulary, this.#options)) return;
    const text = this.#pending.length === 0 ? this.#vocabulary.textOf(tokenId) : null;
    if (text === null) this.#pushBytes(tokenId, emit);
    else if (text !== '') emit({ channel: 'content', text });
  }

  #pushBytes(tokenId: number, emit: Emit): void {
    const bytes = Buffer.concat([this.#pending, this.#vocabulary.bytesOf(tokenId)]);
    const numComplete = bytes.length - numIncompleteBytes(bytes);
    this.#pending = bytes.subarray(numComplete);
    if (numComplete > 0) emit({ channel: 'content', text: bytes.toString('utf8', 0, numComplete) });
  }

  /**
   * Drops a character that the answer's end has cut; bytes that could never become one are
   * replaced.
   */
  flush(emit: Emit): void {
    // A stream that goes on keeps the beginning of a character back.
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.#pending, {
      stream: true,
    });
    this.#pending = Buffer.alloc(0);
    if (text !== '') emit({ channel: 'content', text });
  }
}

function isHidden(
  tokenId: number,
  vocabulary: Vocabulary,
  { skipSpecialTokens, visibleIds }: DetokenizerOptions,
): boolean {
  return skipSpecialTokens && vocabulary.isSpecial(tokenId) && !visibleIds?.has(tokenId);
}

/** Returns the text of a whole token list. */
export function detokenize(
  vocabulary: Vocabulary,
  tokenIds: readonly number[],
  options: DetokenizerOptions,
): string {
  const shown = tokenIds.filter((id) => !isHidden(id, vocabulary, options));
  return Buffer.concat(shown.map((id) => vocabulary.bytesOf(id))).toString('utf8');
}
