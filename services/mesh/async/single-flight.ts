/** A place in work that several callers share. */
export interface Seat<Work> {
  readonly work: Work;
  /** Gives the place up. The work is aborted when its last caller has left. */
  leave(): void;
}

interface SharedWork<Work> {
  readonly work: Work;
  readonly abort: AbortController;
  numCallers: number;
  hasEnded: boolean;
}

/**
 * Work that is started with a signal of its own; `ended` resolves when it has ended, well or not.
 */
export interface Endable {
  readonly ended: Promise<void>;
}

/** Runs one piece of work for all callers that ask for the same key at the same time. */
export class SingleFlight<Work extends Endable> {
  readonly #running = new Map<string, SharedWork<Work>>();
  readonly #onLeft: (work: Work) => void;

  /** `onLeft` is called once for each work that has ended, when nobody has a seat in it any more. */
  constructor({ onLeft = () => {} }: { readonly onLeft?: (work: Work) => void } = {}) {
    this.#onLeft = onLeft;
  }

  /** Joins the work under `key` if it is running. */
  join(key: string): Seat<Work> | undefined {
    const shared = this.#running.get(key);
    return shared === undefined ? undefined : this.#enter(key, shared);
  }

  joinOrStart(key: string, start: (signal: AbortSignal) => Work): Seat<Work> {
    const joined = this.join(key);
    if (joined !== undefined) return joined;
    const abort = new AbortController();
    const shared = { work: start(abort.signal), abort, numCallers: 0, hasEnded: false };
    this.#running.set(key, shared);
    void shared.work.ended.then(() => {
      shared.hasEnded = true;
      this.#remove(key, shared);
      if (shared.numCallers === 0) this.#onLeft(shared.work);
    });
    return this.#enter(key, shared);
  }

  #enter(key: string, shared: SharedWork<Work>): Seat<Work> {
    shared.numCallers += 1;
    let hasLeft = false;
    const leave = () => {
      if (hasLeft) return;
      hasLeft = true;
      shared.numCallers -= 1;
      if (shared.numCallers > 0) return;
      if (shared.hasEnded) this.#onLeft(shared.work);
      if (this.#running.get(key) !== shared) return;
      // A caller that comes after the abort must start the work afresh.
      this.#remove(key, shared);
      shared.abort.abort();
    };
    return { work: shared.work, leave };
  }

  #remove(key: string, shared: SharedWork<Work>): void {
    if (this.#running.get(key) === shared) this.#running.delete(key);
  }
}
