import type { Clock } from '#mesh/async/clock.ts';

/** Longest time between two messages of a process to its watchers, in milliseconds. */
export const HEARTBEAT_INTERVAL_MS = 1000;

export interface HeartbeatOptions {
  readonly clock: Clock;
  /** Number of intervals without a message after which a peer counts as silent. */
  readonly maxMissed: number;
  readonly onSilence: () => void;
}

/**
 * Notices that a peer has fallen silent. It counts intervals instead of waiting once for the whole
 * limit: after a stall of this process only one interval has passed, and messages that came
 * meanwhile are read before the next.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #numMissed = 0;
  #callOff = () => {};

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** Whether a message should have come. */
  get isOverdue(): boolean {
    return this.#numMissed > 0;
  }

  /** Notes that a message has come. */
  beat(): void {
    this.stop();
    this.#numMissed = 0;
    this.#wait();
  }

  stop(): void {
    this.#callOff();
    this.#numMissed = 0;
  }

  #wait(): void {
    const { clock, maxMissed, onSilence } = this.#options;
    this.#callOff = clock.after(HEARTBEAT_INTERVAL_MS, () => {
      this.#numMissed += 1;
      if (this.#numMissed < maxMissed) this.#wait();
      else onSilence();
    });
  }
}
