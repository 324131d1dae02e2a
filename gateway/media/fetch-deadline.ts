/**
 * The time one fetch has, all its redirects together. It begins when the fetch first has a place,
 * because waiting for one is not the far side's fault.
 */
export class FetchDeadline {
  readonly timeoutMs: number;
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Begins the time; further calls have no effect. */
  begin(): void {
    this.#timer ??= setTimeout(() => this.#controller.abort(), this.timeoutMs);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}
