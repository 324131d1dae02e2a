export interface BackoffLimits {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Waits that double from failure to failure. Jitter spreads the callers of what comes back. */
export class Backoff {
  readonly #limits: BackoffLimits;
  #nextMs: number;

  constructor(limits: BackoffLimits) {
    this.#limits = limits;
    this.#nextMs = limits.minMs;
  }

  /** Milliseconds to wait after one more failure: between a half and the whole of its turn. */
  next(): number {
    const ms = this.#nextMs * (0.5 + Math.random() / 2);
    this.#nextMs = Math.min(this.#nextMs * 2, this.#limits.maxMs);
    return ms;
  }

  /** Notes a success. */
  reset(): void {
    this.#nextMs = this.#limits.minMs;
  }
}
