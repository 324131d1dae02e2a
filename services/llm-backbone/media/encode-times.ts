/** Encodes whose durations are kept, the last ones. */
const NUM_KEPT = 256;

/** Fewest of them that tell what is usual. */
const MIN_KNOWN = 20;

/** Durations of the last encodes of one modality. */
export class EncodeTimes {
  /** A ring of at most `NUM_KEPT` durations in milliseconds. */
  readonly #lastMs: number[] = [];
  #numAdded = 0;

  add(ms: number): void {
    this.#lastMs[this.#numAdded % NUM_KEPT] = ms;
    this.#numAdded += 1;
  }

  /** Duration that 95 % of them do not exceed, milliseconds; undefined while too few are known. */
  get p95Ms(): number | undefined {
    const { length } = this.#lastMs;
    if (length < MIN_KNOWN) return undefined;
    return this.#lastMs.toSorted((a, b) => a - b)[Math.ceil(0.95 * length) - 1];
  }
}
