import { setImmediate } from 'node:timers/promises';

/** How long decoding holds the event loop before others have their turn, milliseconds. */
const TURN_MS = 10;

/**
 * Shares the event loop while a recording is decoded, and ends on abort. Whoever works in small
 * pieces asks between them: `if (turns.isOver) await turns.next()`. It is measured in time, since
 * what a piece costs is up to the file.
 */
export class Turns {
  readonly #signal: AbortSignal;
  #endMs = performance.now() + TURN_MS;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  get isOver(): boolean {
    return this.#signal.aborted || performance.now() >= this.#endMs;
  }

  async next(): Promise<void> {
    await setImmediate(undefined, { signal: this.#signal });
    this.#endMs = performance.now() + TURN_MS;
  }
}
