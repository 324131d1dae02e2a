import assert from 'node:assert/strict';
import type { PlaceholderRange } from './placeholder-range.ts';
import { type Embedding, release } from './row-source.ts';

/**
 * The media rows at hand for one sequence. Rows are fetched when asked for and dropped when their
 * tokens have been computed; if the tokens are recomputed, the rows are asked for again.
 */
export class SequenceMedia {
  readonly placeholders: readonly PlaceholderRange[];
  /** An item has an entry once it has been asked for; null until its rows arrive. */
  readonly #rows = new Map<PlaceholderRange, Embedding | null>();

  /** Number of times rows were supplied. */
  numSupplied = 0;

  constructor(placeholders: readonly PlaceholderRange[]) {
    this.placeholders = placeholders;
  }

  /** Returns the first token at or after `token` whose rows are missing, or Infinity. */
  firstMissing(token: number): number {
    const missing = this.#from(token).find((range) => this.rowsOf(range) === null);
    return missing === undefined ? Infinity : Math.max(token, missing.firstToken);
  }

  /**
   * Returns items with tokens at or after `token` that have not been asked for; they count as
   * asked.
   */
  takeWanted(token: number): readonly PlaceholderRange[] {
    const wanted = this.#from(token).filter((range) => !this.#rows.has(range));
    for (const range of wanted) this.#rows.set(range, null);
    return wanted;
  }

  /** Takes rows, whose memory the sequence holds from here on. */
  supply(range: PlaceholderRange, rows: Embedding): void {
    const { numRows } = rows;
    assert(numRows === range.numTokens, `${numRows} rows for ${range.numTokens} placeholders`);
    this.#rows.set(range, rows);
    this.numSupplied++;
  }

  /** Returns the rows `[range.numTokens, hidden_size]`, or null if they are not at hand. */
  rowsOf(range: PlaceholderRange): Embedding | null {
    return this.#rows.get(range) ?? null;
  }

  /** Drops the items that end before `token`. */
  dropBefore(token: number): void {
    for (const [range, rows] of this.#rows) {
      if (endOf(range) > token) continue;
      this.#rows.delete(range);
      if (rows !== null) release(rows);
    }
  }

  /** Returns the items with tokens at or after `token`. */
  #from(token: number): PlaceholderRange[] {
    return this.placeholders.filter((range) => endOf(range) > token);
  }
}

function endOf({ firstToken, numTokens }: PlaceholderRange): number {
  return firstToken + numTokens;
}
