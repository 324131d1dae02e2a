import type { Clock } from '#mesh/async/clock.ts';

/** A process tells its watchers something at least this often, milliseconds. */
export const HEARTBEAT_INTERVAL_MS = 1000;

/** This many intervals without a message, and a peer counts as silent. */
const MAX_MISSED_HEARTBEATS = 3;

/** A peer that has said nothing for this long is not asked, milliseconds. */
export const SILENCE_LIMIT_MS = MAX_MISSED_HEARTBEATS * HEARTBEAT_INTERVAL_MS;

/**
 * Notices that a peer has fallen silent. It counts intervals instead of waiting once for the whole
 * limit: after a stall of this process only one of them has passed, and what the peer said meanwhile
 * is read before the next.
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

  /** A message has come. */
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
