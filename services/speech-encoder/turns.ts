import { setImmediate } from 'node:timers/promises';

/** How long decoding may hold the event loop before it lets other work run, milliseconds. */
const TURN_MS = 10;

/**
 * Shares the event loop while a recording is decoded, so that a decoder notices that its encoder is
 * gone. Whoever works in small pieces asks between them: `if (turns.isOver) await turns.next()`. It
 * is measured in time, since what a piece costs is up to the file.
 */
export class Turns {
  #endMs = performance.now() + TURN_MS;

  get isOver(): boolean {
    return performance.now() >= this.#endMs;
  }

  async next(): Promise<void> {
    await setImmediate();
    this.#endMs = performance.now() + TURN_MS;
  }
}
