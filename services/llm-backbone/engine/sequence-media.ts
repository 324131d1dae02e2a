import assert from 'node:assert/strict';
import type { PlaceholderRange } from './placeholder-range.ts';
import type { Embedding } from './row-source.ts';

/**
 * The media of one sequence: which rows are at hand. Rows come when they have been asked for and go
 * when the tokens they stand for are computed; what is computed once more asks for them again.
 */
export class SequenceMedia {
  readonly placeholders: readonly PlaceholderRange[];
  /** Present: asked for; null: not there yet. */
  readonly #rows = new Map<PlaceholderRange, Embedding | null>();

  constructor(placeholders: readonly PlaceholderRange[]) {
    this.placeholders = placeholders;
  }

  /** The first token at or after `token` that cannot be computed for lack of rows, or Infinity. */
  firstMissing(token: number): number {
    const missing = this.#from(token).find((range) => this.rowsOf(range) === null);
    return missing === undefined ? Infinity : Math.max(token, missing.firstToken);
  }

  /** Items with tokens at or after `token` that nobody has been asked for; they count as asked. */
  takeWanted(token: number): readonly PlaceholderRange[] {
    const wanted = this.#from(token).filter((range) => !this.#rows.has(range));
    for (const range of wanted) this.#rows.set(range, null);
    return wanted;
  }

  supply(range: PlaceholderRange, rows: Embedding): void {
    const { numRows } = rows;
    assert(numRows === range.numTokens, `${numRows} rows for ${range.numTokens} placeholders`);
    this.#rows.set(range, rows);
  }

  /** `[range.numTokens, hidden_size]`, or null where they are not at hand. */
  rowsOf(range: PlaceholderRange): Embedding | null {
    return this.#rows.get(range) ?? null;
  }

  /** Lets go of what stands wholly before `token`. */
  dropBefore(token: number): void {
    for (const range of this.#rows.keys()) if (endOf(range) <= token) this.#rows.delete(range);
  }

  /** Items with tokens at or after `token`. */
  #from(token: number): PlaceholderRange[] {
    return this.placeholders.filter((range) => endOf(range) > token);
  }
}

function endOf({ firstToken, numTokens }: PlaceholderRange): number {
  return firstToken + numTokens;
}
