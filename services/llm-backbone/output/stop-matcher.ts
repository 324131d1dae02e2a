import { type Pattern, sharedPatterns } from '#backbone/engine/pattern.ts';

export interface StopMatch {
  /** Text that can no longer be part of a stop string. */
  readonly text: string;
  /** The stop string that was completed; nothing after it counts. */
  readonly stopString: string | null;
}

/**
 * Finds stop strings in text that comes in pieces, however they are cut. The match that is complete
 * first wins, and of two complete at the same character the longer. Holds back only what may still
 * become a stop string.
 */
export class StopMatcher {
  readonly #stopStrings: readonly string[];
  readonly #includeStopString: boolean;
  readonly #patterns: readonly Pattern[];
  /** By stop string: characters of its beginning that the text ends in. */
  readonly #matched: number[];
  #held = '';

  constructor(stopStrings: readonly string[], options: { readonly includeStopString: boolean }) {
    this.#stopStrings = stopStrings;
    this.#includeStopString = options.includeStopString;
    this.#patterns = sharedPatterns(stopStrings, charCodes);
    this.#matched = stopStrings.map(() => 0);
  }

  push(piece: string): StopMatch {
    const text = this.#held + piece;
    for (let i = 0; i < piece.length; i++) {
      const stopString = this.#advance(piece.charCodeAt(i));
      if (stopString === null) continue;
      const end = this.#held.length + i + 1;
      this.#forget();
      const shown = this.#includeStopString ? end : end - stopString.length;
      return { text: text.slice(0, shown), stopString };
    }
    const numCertain = text.length - Math.max(0, ...this.#matched);
    this.#held = text.slice(numCertain);
    return { text: text.slice(0, numCertain), stopString: null };
  }

  /** Text that was held back and turned out not to be a stop string. */
  flush(): string {
    const text = this.#held;
    this.#forget();
    return text;
  }

  /** The longest stop string that a character completes; null: none. */
  #advance(char: number): string | null {
    let longest: string | null = null;
    // Without iterators: a resume replays a million tokens.
    for (let i = 0; i < this.#patterns.length; i++) {
      const pattern = this.#patterns[i];
      if (pattern === undefined) continue;
      const matched = pattern.next(this.#matched[i] ?? 0, char);
      this.#matched[i] = matched;
      if (matched < pattern.length || matched <= (longest?.length ?? 0)) continue;
      longest = this.#stopStrings[i] ?? null;
    }
    return longest;
  }

  #forget(): void {
    this.#held = '';
    this.#matched.fill(0);
  }
}

function charCodes(text: string): Uint16Array {
  return Uint16Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
}

/** Length of the longest end of `text` that is a proper beginning of `word`. */
export function overlap(text: string, word: string): number {
  for (let length = Math.min(text.length, word.length - 1); length > 0; length--) {
    if (text.endsWith(word.slice(0, length))) return length;
  }
  return 0;
}
