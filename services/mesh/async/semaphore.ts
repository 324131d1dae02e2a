import { abortable } from './abortable.ts';

/** Lets at most `limit` callers run at once; the others wait in order. */
export class Semaphore {
  readonly #limit: number;
  readonly #waiting: (() => void)[] = [];
  #numRunning = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#enter(signal);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#numRunning < this.#limit) {
      this.#numRunning += 1;
      return;
    }
    let admit = () => {};
    const admitted = new Promise<void>((resolve) => {
      admit = resolve;
      this.#waiting.push(admit);
    });
    try {
      await abortable(admitted, signal);
    } catch (error: unknown) {
      const index = this.#waiting.indexOf(admit);
      if (index !== -1) this.#waiting.splice(index, 1);
      // The caller was admitted and aborted at the same moment, so its place goes to the next one.
      else this.#leave();
      throw error;
    }
  }

  /** Hands the place to the caller that waits longest. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#numRunning -= 1;
    else next();
  }
}
