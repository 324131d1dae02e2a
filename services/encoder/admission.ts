import { AdmissionGate } from '#mesh/admission-gate.ts';
import { MeshError } from '#mesh/errors.ts';

/** When a client refused for a full queue may try again, milliseconds. */
const RETRY_AFTER_MS = 1000;

/** Lets calls in, no more items than the process can hold, and nobody once it drains. */
export class Admission {
  readonly #maxItems: number;
  readonly #gate = new AdmissionGate('this encoder is shutting down; ask another one');
  #numItems = 0;

  constructor(options: { readonly maxItems: number }) {
    this.#maxItems = options.maxItems;
  }

  /** Items that are being received, encoded or sent, or wait for it. */
  get numItems(): number {
    return this.#numItems;
  }

  /** Refuses all new calls; resolves when the last one inside has left, at the latest after `graceMs`. */
  drain(graceMs: number): Promise<void> {
    return this.#gate.drain(graceMs);
  }

  /** Runs a call, unless the process drains. */
  async *call<T>(work: () => AsyncIterable<T>): AsyncGenerator<T> {
    this.#gate.enter();
    try {
      yield* work();
    } finally {
      this.#gate.leave();
    }
  }

  /** Runs the part of a call that holds an item in memory, if there is room for one more. */
  async *item<T>(work: () => AsyncIterable<T>): AsyncGenerator<T> {
    if (this.#numItems >= this.#maxItems) {
      const message = `${this.#numItems} items are being encoded or wait, at most ${this.#maxItems} may`;
      throw new MeshError('QUEUE_FULL', message, { retryAfterMs: RETRY_AFTER_MS });
    }
    this.#numItems += 1;
    try {
      yield* work();
    } finally {
      this.#numItems -= 1;
    }
  }
}
