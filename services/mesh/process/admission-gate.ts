import { MeshError } from '#mesh/errors.ts';

export interface GateOptions {
  /** What a call hears that comes when the gate is closed. */
  readonly closed: string;
  /** Bounds the calls inside; unset: they have no bound. */
  readonly limit?: GateLimit;
}

export interface GateLimit {
  readonly maxInside: number;
  /** What a call hears that finds so many inside. */
  readonly refusal: () => MeshError;
}

/** Counts the calls inside, no more than its limit, and lets none in once it is closed. */
export class AdmissionGate {
  readonly #options: GateOptions;
  readonly #waiting = new Set<() => void>();
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

  /** Lets a call in, or throws DRAINING or the limit's refusal; call what it returns once, at the end. */
  enter(): () => void {
    const { closed, limit } = this.#options;
    if (this.#isClosed) throw new MeshError('DRAINING', closed);
    if (limit !== undefined && this.#numInside >= limit.maxInside) throw limit.refusal();
    this.#numInside++;
    return () => this.#leave();
  }

  /** Runs `work` inside. */
  async *around<T>(work: () => AsyncIterable<T>): AsyncGenerator<T> {
    const leave = this.enter();
    try {
      yield* work();
    } finally {
      leave();
    }
  }

  /** Lets no further call in. */
  close(): void {
    this.#isClosed = true;
  }

  /** Resolves when nobody is inside. */
  async whenEmpty(): Promise<void> {
    if (this.#numInside === 0) return;
    await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  /** Closes; resolves when the last call inside has left, at the latest after `graceMs`. */
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
    this.#numInside--;
    if (this.#numInside > 0) return;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
