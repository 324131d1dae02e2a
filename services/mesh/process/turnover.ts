/** Weight of the latest interval in the mean. */
const LATEST_WEIGHT = 0.2;

/** Bounds of an estimate, and the estimate while nothing is known, in milliseconds. */
const MIN_WAIT_MS = 500;
const MAX_WAIT_MS = 30_000;
const UNKNOWN_WAIT_MS = 1000;

/** Estimates when a place gets free, from the times at which callers left. */
export class Turnover {
  readonly #now: () => number;
  #lastMs: number | undefined;
  #meanMs: number | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Notes that a caller has left while all places were taken. */
  left(): void {
    const nowMs = this.#now();
    if (this.#lastMs !== undefined) {
      const intervalMs = nowMs - this.#lastMs;
      const meanMs = this.#meanMs ?? intervalMs;
      this.#meanMs = meanMs + LATEST_WEIGHT * (intervalMs - meanMs);
    }
    this.#lastMs = nowMs;
  }

  /** Milliseconds until the next place probably gets free; longer if nobody has left for long. */
  get expectedMs(): number {
    if (this.#meanMs === undefined || this.#lastMs === undefined) return UNKNOWN_WAIT_MS;
    const waitMs = Math.max(this.#meanMs, this.#now() - this.#lastMs);
    return Math.min(MAX_WAIT_MS, Math.max(MIN_WAIT_MS, waitMs));
  }
}
