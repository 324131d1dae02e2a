import { MeshError } from './errors.ts';

/** When a client refused for a full queue may try again, milliseconds. */
const RETRY_AFTER_MS = 1000;

/** Counts the items a process has let in, and lets no more in than it can hold or once it drains. */
export class Admission {
  readonly #maxItems: number;
  #numItems = 0;
  #isDraining = false;
  #onIdle = () => {};

  constructor(options: { readonly maxItems: number }) {
    this.#maxItems = options.maxItems;
  }

  get numItems(): number {
    return this.#numItems;
  }

  /** Refuses all new items from here on; resolves when the last one inside has left. */
  drain(): Promise<void> {
    this.#isDraining = true;
    if (this.#numItems === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  refuseWhenDraining(): void {
    if (!this.#isDraining) return;
    throw new MeshError('DRAINING', 'this encoder is shutting down; ask another one');
  }

  /** Runs `work` for an item that is let in. */
  async *admit<T>(work: () => AsyncIterable<T>): AsyncGenerator<T> {
    this.refuseWhenDraining();
    if (this.#numItems >= this.#maxItems) {
      const message = `${this.#numItems} items are being encoded or wait, at most ${this.#maxItems} may`;
      throw new MeshError('QUEUE_FULL', message, { retryAfterMs: RETRY_AFTER_MS });
    }
    this.#numItems += 1;
    try {
      yield* work();
    } finally {
      this.#numItems -= 1;
      if (this.#numItems === 0) this.#onIdle();
    }
  }
}
