import type { Writable } from 'node:stream';
import { MeshError } from '#mesh/errors.ts';
import { ClientTally, keptOf } from '#mesh/fairness/client-tally.ts';
import { AdmissionGate } from '#mesh/process/admission-gate.ts';
import { Roster } from '#mesh/roster.ts';

const SHUTTING_DOWN = 'the server is shutting down; try another or try again shortly';

export interface InFlightOptions {
  /** Most requests at once; further ones are refused. */
  readonly maxRequests: number;
  /** Deadline of a request, milliseconds. */
  readonly timeoutMs: number;
}

/** One admitted request. */
export interface AdmittedRequest {
  /** Aborted, with a MeshError as its reason, when the answer is no longer wanted or allowed. */
  readonly signal: AbortSignal;
  /** Ends the request; called once, however it ends. */
  end(): void;
}

/**
 * Admits the requests that occupy a backbone, and ends them: at the deadline, when the client is
 * gone, or on drain.
 */
export class InFlight {
  readonly #timeoutMs: number;
  readonly #gate: AdmissionGate;
  readonly #running = new Roster<AbortController>();
  readonly #places = new ClientTally();
  readonly #maxRequests: number;
  #isLeaving = false;

  constructor({ maxRequests, timeoutMs }: InFlightOptions) {
    this.#timeoutMs = timeoutMs;
    this.#maxRequests = maxRequests;
    const limit = {
      maxInside: maxRequests,
      refusal: (expectedMs: number) => busy(maxRequests, expectedMs),
    };
    this.#gate = new AdmissionGate({ closed: SHUTTING_DOWN, limit });
  }

  get count(): number {
    return this.#gate.numInside;
  }

  /** True from the announcement of the end on, also while requests are still admitted. */
  get isDraining(): boolean {
    return this.#isLeaving || this.#gate.isClosed;
  }

  /** Throws QUEUE_FULL or DRAINING if `admit` would. */
  check(): void {
    this.#gate.enter()();
  }

  /** Tells probes that this server is about to refuse requests; admits them until `drain`. */
  announceEnd(): void {
    this.#isLeaving = true;
  }

  /**
   * Admits the request that `response` answers, or throws QUEUE_FULL or DRAINING. A client that has
   * many requests finds no place among the last ones, which are for others.
   */
  admit(response: Writable, client: string): AdmittedRequest {
    this.#checkShare(client);
    const leave = this.#gate.enter();
    this.#places.add(client, 1);
    const timeoutMs = this.#timeoutMs;
    const controller = new AbortController();
    const leaveRunning = this.#running.add(controller);
    const deadline = setTimeout(() => controller.abort(late(timeoutMs)), timeoutMs);
    const onClose = () => {
      if (!response.writableFinished) controller.abort(gone());
    };
    response.on('close', onClose);
    if (response.destroyed) onClose();
    return {
      signal: controller.signal,
      end: () => {
        clearTimeout(deadline);
        response.off('close', onClose);
        leaveRunning();
        this.#places.add(client, -1);
        leave();
      },
    };
  }

  #checkShare(client: string): void {
    if (!this.#places.isKept({ client, amount: 1 }, this.#maxRequests)) return;
    const numKept = keptOf(this.#maxRequests);
    const message = `the server is busy: ${this.#places.of(client)} requests of yours are in flight, and its last ${numKept} places of ${this.#maxRequests} are for other clients`;
    throw new MeshError('QUEUE_FULL', message, { retryAfterMs: this.#gate.expectedMs });
  }

  /** Refuses new requests and waits for the running ones; ends those after `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    this.#gate.close();
    const cutOff = setTimeout(() => this.endAll(), graceMs);
    await this.#gate.whenEmpty();
    clearTimeout(cutOff);
  }

  /** Refuses new requests and ends the running ones; their clients are told why. */
  endAll(): void {
    this.#gate.close();
    for (const controller of this.#running.members()) controller.abort(draining());
  }
}

function busy(maxRequests: number, retryAfterMs: number): MeshError {
  const message = `the server is busy: ${maxRequests} requests are in flight, its limit`;
  return new MeshError('QUEUE_FULL', message, { retryAfterMs });
}

function draining(): MeshError {
  return new MeshError('DRAINING', SHUTTING_DOWN);
}

function late(timeoutMs: number): MeshError {
  const message = `the request was not finished within its deadline of ${timeoutMs / 1000} s`;
  return new MeshError('DEADLINE_EXCEEDED', message);
}

function gone(): MeshError {
  return new MeshError('CANCELLED', 'the client has gone');
}
