import { setImmediate } from 'node:timers/promises';

/**
 * Shares the event loop during long work, so that a process still notices what happens around it.
 * Whoever works in small pieces asks between them: `if (turns.isOver) await turns.next()`. It is
 * measured in time, since what a piece costs is often up to a client.
 */
export class Turns {
  readonly #turnMs: number;
  #endMs: number;

  /** `turnMs` is how long the work may hold the event loop, milliseconds. */
  constructor(turnMs = 10) {
    this.#turnMs = turnMs;
    this.#endMs = performance.now() + turnMs;
  }

  get isOver(): boolean {
    return performance.now() >= this.#endMs;
  }

  async next(): Promise<void> {
    await setImmediate();
    this.#endMs = performance.now() + this.#turnMs;
  }
}
