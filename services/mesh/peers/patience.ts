export interface PatienceOptions {
  /** Longest that one request waits, in milliseconds; 0: none waits. */
  readonly limitMs: number;
  /** Most requests that wait at once. */
  readonly maxWaiting: number;
}

/**
 * Decides which requests wait for a peer that is expected back, instead of being refused: as many
 * as there is room for, if the peer is expected within the limit.
 */
export class Patience {
  readonly limitMs: number;
  readonly #maxWaiting: number;
  #numWaiting = 0;

  constructor({ limitMs, maxWaiting }: PatienceOptions) {
    this.limitMs = limitMs;
    this.#maxWaiting = maxWaiting;
  }

  get numWaiting(): number {
    return this.#numWaiting;
  }

  /** Tells whether a request may wait; `expectedMs` is undefined if nobody is expected. */
  allows(expectedMs: number | undefined): boolean {
    const isSoon = expectedMs !== undefined && expectedMs <= this.limitMs;
    return isSoon && this.#numWaiting < this.#maxWaiting;
  }

  /** Counts a request that waits; returns a function that ends its wait. */
  begin(): () => void {
    this.#numWaiting += 1;
    return () => {
      this.#numWaiting -= 1;
    };
  }
}
