import { MeshError } from '#mesh/errors.ts';
import { Turnover } from './turnover.ts';

export interface GateOptions {
  /** Message for a call that comes when the gate is closed. */
  readonly closed: string;
  /** Bounds the calls inside; if unset, there is no bound. */
  readonly limit?: GateLimit;
}

export interface GateLimit {
  readonly maxInside: number;
  /**
   * Makes the error for a call that finds `maxInside` calls inside; the next place is expected in
   * this many milliseconds.
   */
  readonly refusal: (expectedMs: number) => MeshError;
}

/** Counts the calls inside; admits at most its limit, and none once it is closed. */
export class AdmissionGate {
  readonly #options: GateOptions;
  readonly #waiting = new Set<() => void>();
  readonly #turnover = new Turnover(() => performance.now());
  #numInside = 0;
  #isClosed = false;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  get numInside(): number {
    return this.#numInside;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Milliseconds until the next call inside will probably end. */
  get expectedMs(): number {
    return this.#turnover.expectedMs;
  }

  /**
   * Admits a call, or throws DRAINING or the limit's refusal. Call the returned function once, when
   * the call ends.
   */
  enter(): () => void {
    const { closed, limit } = this.#options;
    if (this.#isClosed) throw new MeshError('DRAINING', closed);
    if (limit !== undefined && this.#numInside >= limit.maxInside) {
      throw limit.refusal(this.#turnover.expectedMs);
    }
    this.#numInside++;
    return () => this.#leave();
  }

  /** Runs `work` as a call inside. */
  async *around<T>(work: () => AsyncIterable<T>): AsyncGenerator<T> {
    const leave = this.enter();
    try {
      yield* work();
    } finally {
      leave();
    }
  }

  /** Closes the gate to further calls. */
  close(): void {
    this.#isClosed = true;
  }

  /** Resolves when no call is inside. */
  async whenEmpty(): Promise<void> {
    if (this.#numInside === 0) return;
    await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  /** Closes the gate; resolves when the last call inside has left, or after `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    this.close();
    if (this.#numInside === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      void this.whenEmpty().then(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #leave(): void {
    if (this.#numInside === this.#options.limit?.maxInside) this.#turnover.left();
    this.#numInside--;
    if (this.#numInside > 0) return;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
