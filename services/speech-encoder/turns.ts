import { setImmediate } from 'node:timers/promises';

/** How long decoding may hold the event loop before it lets other work run, milliseconds. */
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
