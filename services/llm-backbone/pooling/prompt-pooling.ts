/** Which hidden states of a prompt make its embedding: that of the last token, or the mean of all. */
export type PoolingKind = 'last' | 'mean';

/** Rows of a prompt, `[start, end)`. */
export interface RowRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Sums up hidden states of a prompt while it is computed in chunks. Rows are added once and in their
 * order, also if the prompt is computed again after a preemption.
 */
export class PromptPooling {
  readonly kind: PoolingKind;
  readonly #numPromptTokens: number;
  readonly #firstRow: number;
  /** Index after the last row that has been added. */
  #end: number;
  #sum: Float64Array | undefined;

  constructor(kind: PoolingKind, numPromptTokens: number) {
    this.kind = kind;
    this.#numPromptTokens = numPromptTokens;
    this.#firstRow = kind === 'last' ? numPromptTokens - 1 : 0;
    this.#end = this.#firstRow;
  }

  /** `[hidden_size]`: sum of the rows added so far; undefined before the first. */
  get sum(): Float64Array | undefined {
    return this.#sum;
  }

  /** Returns the rows of a chunk, `[firstToken, end)`, that are to be added; null if there are none. */
  rowsOf(firstToken: number, end: number): RowRange | null {
    const rows = {
      start: Math.max(firstToken, this.#end),
      end: Math.min(end, this.#numPromptTokens),
    };
    return rows.start < rows.end ? rows : null;
  }

  /** Takes the sum up to the end of rows that `rowsOf` returned. */
  add({ end }: RowRange, sum: Float64Array): void {
    this.#sum = sum;
    this.#end = end;
  }

  /** Returns the pooled hidden state `[hidden_size]`; undefined while rows are missing. */
  result(): Float64Array | undefined {
    const numRows = this.#end - this.#firstRow;
    return this.#end < this.#numPromptTokens ? undefined : this.#sum?.map((one) => one / numRows);
  }
}
