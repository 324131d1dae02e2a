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
  #held = '';

  constructor(stopStrings: readonly string[], options: { readonly includeStopString: boolean }) {
    this.#stopStrings = stopStrings;
    this.#includeStopString = options.includeStopString;
  }

  push(piece: string): StopMatch {
    const text = this.#held + piece;
    const match = this.#firstMatch(text);
    if (match !== undefined) {
      this.#held = '';
      const end = this.#includeStopString ? match.end : match.end - match.stopString.length;
      return { text: text.slice(0, end), stopString: match.stopString };
    }
    const numCertain = text.length - this.#numHeld(text);
    this.#held = text.slice(numCertain);
    return { text: text.slice(0, numCertain), stopString: null };
  }

  /** Text that was held back and turned out not to be a stop string. */
  flush(): string {
    const text = this.#held;
    this.#held = '';
    return text;
  }

  #firstMatch(text: string): { readonly stopString: string; readonly end: number } | undefined {
    return this.#stopStrings
      .map((stopString) => ({ stopString, start: text.indexOf(stopString) }))
      .filter(({ start }) => start !== -1)
      .map(({ stopString, start }) => ({ stopString, start, end: start + stopString.length }))
      .sort((a, b) => a.end - b.end || a.start - b.start)
      .at(0);
  }

  /** Length of the longest end of the text that begins a stop string. */
  #numHeld(text: string): number {
    return Math.max(0, ...this.#stopStrings.map((stopString) => overlap(text, stopString)));
  }
}

/** Length of the longest end of `text` that is a proper beginning of `word`. */
export function overlap(text: string, word: string): number {
  for (let length = Math.min(text.length, word.length - 1); length > 0; length--) {
    if (text.endsWith(word.slice(0, length))) return length;
  }
  return 0;
}
