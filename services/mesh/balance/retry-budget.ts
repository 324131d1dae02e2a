/** Retries that can be saved up. */
const MAX_SAVED = 10;

export interface RetryBudgetOptions {
  /** Requests that pay for one retry; unset: 5. */
  readonly requestsPerRetry?: number;
  /** Retries that may be made before any request; unset: as many as can be saved up. */
  readonly numSaved?: number;
}

/**
 * Bounds the retries that answers of living peers cause to a part of the requests, so that a pool
 * that refuses everything is not asked many times as often as its callers ask. Source: the retry
 * budget of Finagle and Envoy.
 */
export class RetryBudget {
  readonly #requestsPerRetry: number;
  /** Requests that no retry has used up. */
  #savedRequests: number;

  constructor({ requestsPerRetry = 5, numSaved = MAX_SAVED }: RetryBudgetOptions = {}) {
    this.#requestsPerRetry = requestsPerRetry;
    this.#savedRequests = numSaved * requestsPerRetry;
  }

  get isSpent(): boolean {
    return this.#savedRequests < this.#requestsPerRetry;
  }

  /** Notes a request, which pays for a part of a retry. */
  deposit(): void {
    this.#savedRequests = Math.min(MAX_SAVED * this.#requestsPerRetry, this.#savedRequests + 1);
  }

  /** Takes a retry out of the budget; returns false if there is none. */
  withdraw(): boolean {
    if (this.isSpent) return false;
    this.#savedRequests -= this.#requestsPerRetry;
    return true;
  }
}
