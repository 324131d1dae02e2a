import { type Clock, systemClock } from './clock.ts';

export interface ChangeWait {
  readonly signal: AbortSignal;
  /** Longest wait, in milliseconds; unset for no limit. */
  readonly limitMs?: number;
  readonly clock?: Clock;
}

/**
 * Wakes waiting callers when something has changed; a caller that is busy meanwhile misses no
 * change.
 */
export class Changes {
  readonly #waiting = new Set<() => void>();
  readonly #listeners = new Set<() => void>();
  #count = 0;

  /** Number of changes so far. A reader notes it before it reads, then waits for later changes. */
  get count(): number {
    return this.#count;
  }

  notify(): void {
    this.#count += 1;
    for (const wake of [...this.#waiting]) wake();
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` at every change. */
  listen(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Resolves when there are more than `seen` changes, at the limit, or when the signal aborts. */
  after(seen: number, { signal, limitMs, clock = systemClock }: ChangeWait): Promise<void> {
    if (this.#count > seen || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        callOff();
        resolve();
      };
      const callOff = limitMs === undefined ? () => {} : clock.after(limitMs, wake);
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}
