import type { Clock } from '#mesh/async/clock.ts';
import { MeshError } from '#mesh/errors.ts';
import { StepPace } from './step-pace.ts';

/** Milliseconds from one look at a running step to the next. */
const LOOK_INTERVAL_MS = 1000;

/**
 * How many times longer than others of its size an honest step may take: the machine has other
 * work, and a long context costs more than a short one.
 */
const PACE_MARGIN = 4;

/** How many times the limit a step may take while no step has shown the device's pace. */
const UNMEASURED_FACTOR = 6;

export interface StepWatchdogOptions {
  readonly clock: Clock;
  /** Milliseconds that every step may take; 0: any time. */
  readonly limitMs: number;
}

/** Failure of a step that does not end; the thread that computes it never comes back. */
export class Standstill extends MeshError {
  constructor(seconds: number) {
    const message = `the engine stands still: its step has not ended for ${seconds} s`;
    super('ENGINE_DEAD', message);
  }
}

/**
 * Notices that a native step stands still, which the event loop of its process does not feel. A step
 * may take as long as the limit, or four times as long as steps of its size usually do if that is
 * longer. Like `Heartbeat`, it counts intervals: a stall of this process counts as one.
 */
export class StepWatchdog {
  readonly #options: StepWatchdogOptions;
  readonly #pace = new StepPace();

  constructor(options: StepWatchdogOptions) {
    this.#options = options;
  }

  /**
   * Settles as the step does; rejects with `Standstill` if that does not end. `size` is its number
   * of tokens or cells.
   */
  watch<T>(size: number, step: Promise<T>): Promise<T> {
    if (this.#options.limitMs === 0) return step;
    return new Promise((resolve, reject) => {
      const end = this.#begin(size, (standstill) => reject(standstill));
      step.finally(end).then(resolve, reject);
    });
  }

  /** Looks after a step until the returned function is called. */
  #begin(size: number, onStandstill: (standstill: Standstill) => void): () => void {
    const { clock } = this.#options;
    const allowedMs = this.#allowedMs(size);
    const startMs = clock.now();
    let seenMs = 0;
    let callOff = () => {};
    const wait = () => {
      callOff = clock.after(LOOK_INTERVAL_MS, look);
    };
    const look = () => {
      seenMs += LOOK_INTERVAL_MS;
      if (seenMs < allowedMs) wait();
      else onStandstill(new Standstill(seenMs / 1000));
    };
    wait();
    return () => {
      callOff();
      // A stop of the process in the middle of the step is no pace of the device.
      const ms = Math.min(clock.now() - startMs, seenMs + LOOK_INTERVAL_MS);
      this.#pace.note({ size, ms });
    };
  }

  #allowedMs(size: number): number {
    const { limitMs } = this.#options;
    const expectedMs = this.#pace.expectedMs(size);
    if (expectedMs === undefined) return UNMEASURED_FACTOR * limitMs;
    return Math.max(limitMs, PACE_MARGIN * expectedMs);
  }
}
