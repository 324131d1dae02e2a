import type { WatchResponse } from '#protos/autoglm/mesh/v1/instance.ts';
import type { Follower, Told } from './report-turns.ts';

type Result = IteratorResult<WatchResponse, undefined>;

const DONE: Result = { done: true, value: undefined };

/**
 * The messages for one watcher. One that reads slowly misses messages that later ones make useless.
 * Written by hand, not as a generator, because a process has a thousand of them.
 */
export class StatusWatcher implements AsyncIterableIterator<WatchResponse, undefined>, Follower {
  #told: Told = { atMs: 0, numLoads: 0, work: 0 };
  readonly #onEnd: () => void;
  #pending: WatchResponse | undefined;
  #resolve: ((result: Result) => void) | undefined;
  #isOver = false;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  get told(): Told {
    return this.#told;
  }

  tell(message: WatchResponse, told: Told): void {
    this.#told = told;
    const resolve = this.#resolve;
    this.#resolve = undefined;
    if (resolve !== undefined) resolve({ done: false, value: message });
    else this.#pending = this.#joined(message);
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#resolve?.(DONE);
    this.#onEnd();
  }

  next(): Promise<Result> {
    const value = this.#pending;
    this.#pending = undefined;
    if (this.#isOver) return Promise.resolve(DONE);
    if (value !== undefined) return Promise.resolve({ done: false, value });
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  async return(): Promise<Result> {
    this.end();
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Returns one message for those that were not read: facts are not lost to a load. */
  #joined(message: WatchResponse): WatchResponse {
    const pending = this.#pending;
    if (pending === undefined || pending.loadOnly || !message.loadOnly) return message;
    return { ...pending, load: message.load };
  }
}
