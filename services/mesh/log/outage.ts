import { ClientError } from 'nice-grpc-common';
import type { Clock } from '#mesh/async/clock.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from './log.ts';

/** Least time between two lines about one outage, milliseconds. */
const LINE_INTERVAL_MS = 5000;

/** Says in the log when a server cannot be used, now and then while it cannot, and when it can again. */
export class Outage {
  readonly #log: Log;
  readonly #clock: Clock;
  #saidAtMs: number | undefined;

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Notes a failed attempt; `what` says what is not done, and what that means. */
  failed(what: string, error: unknown): void {
    const nowMs = this.#clock.now();
    const isDue = this.#saidAtMs === undefined || nowMs - this.#saidAtMs >= LINE_INTERVAL_MS;
    if (!isDue) return;
    this.#saidAtMs = nowMs;
    this.#log.warn(`${what} (${reasonOf(error)}); trying again`);
  }

  /** Notes that all is well; `what` says so after an outage. */
  over(what: string): void {
    if (this.#saidAtMs === undefined) return;
    this.#saidAtMs = undefined;
    this.#log.info(what);
  }
}

/** Returns why a call failed: of a lost connection, what the system said. */
function reasonOf(error: unknown): string {
  const isLoss = error instanceof MeshError && error.isPeerLost;
  if (isLoss && error.cause instanceof ClientError) return error.cause.details;
  return errorMessage(error);
}
