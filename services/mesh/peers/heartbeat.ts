import type { Clock } from '#mesh/async/clock.ts';

/** Longest time between two messages of a process to its watchers, in milliseconds. */
export const HEARTBEAT_INTERVAL_MS = 1000;

/** Number of intervals without a message after which a peer counts as silent. */
const MAX_MISSED_HEARTBEATS = 3;

/** Milliseconds without a message after which a peer is not asked. */
export const SILENCE_LIMIT_MS = MAX_MISSED_HEARTBEATS * HEARTBEAT_INTERVAL_MS;

/**
 * Notices that a peer has fallen silent. It counts intervals instead of waiting once for the whole
 * limit: after a stall of this process only one interval has passed, and messages that came
 * meanwhile are read before the next.
 */
export class Heartbeat {
  readonly #clock: Clock;
  readonly #onSilence: () => void;
  #numMissed = 0;
  #callOff = () => {};

  constructor(clock: Clock, onSilence: () => void) {
    this.#clock = clock;
    this.#onSilence = onSilence;
  }

  /** Notes that a message has come. */
  beat(): void {
    this.stop();
    this.#numMissed = 0;
    this.#wait();
  }

  stop(): void {
    this.#callOff();
  }

  #wait(): void {
    this.#callOff = this.#clock.after(HEARTBEAT_INTERVAL_MS, () => {
      this.#numMissed += 1;
      if (this.#numMissed < MAX_MISSED_HEARTBEATS) this.#wait();
      else this.#onSilence();
    });
  }
}
