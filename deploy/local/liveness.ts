import type { Clock } from '#mesh/async/clock.ts';

/** Milliseconds from one ping to the next. */
const PING_INTERVAL_MS = 1000;

/**
 * How many times longer a starting process may be silent: it reads large files, and its loop stands
 * still while their text is parsed.
 */
const START_FACTOR = 6;

export interface LivenessOptions {
  readonly clock: Clock;
  /** Milliseconds without an answer after which a process that has started is taken for dead. */
  readonly limitMs: number;
  readonly ping: () => void;
  readonly onSilent: () => void;
}

/**
 * Pings a process and notices that it no longer answers. Like `Heartbeat`, it counts intervals: a
 * stall of this process counts as one.
 */
export class Liveness {
  readonly #options: LivenessOptions;
  #limitMs: number;
  #isAnswered = false;
  #silentMs = 0;
  #callOff = () => {};

  constructor(options: LivenessOptions) {
    this.#options = options;
    this.#limitMs = START_FACTOR * options.limitMs;
    this.#ping();
  }

  /** Notes that the process has started, after which less silence is allowed. */
  started(): void {
    this.#limitMs = this.#options.limitMs;
    this.answered();
  }

  answered(): void {
    this.#isAnswered = true;
    this.#silentMs = 0;
  }

  stop(): void {
    this.#callOff();
  }

  #ping(): void {
    this.#isAnswered = false;
    this.#options.ping();
    this.#wait();
  }

  #wait(): void {
    this.#callOff = this.#options.clock.after(PING_INTERVAL_MS, () => this.#look());
  }

  #look(): void {
    if (this.#isAnswered) {
      this.#ping();
      return;
    }
    // A stopped process reads nothing, so no further pings are queued for it.
    this.#silentMs += PING_INTERVAL_MS;
    if (this.#silentMs < this.#limitMs) this.#wait();
    else this.#options.onSilent();
  }
}
