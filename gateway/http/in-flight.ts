import type { Writable } from 'node:stream';
import { MeshError } from '#mesh/errors.ts';
import { AdmissionGate } from '#mesh/process/admission-gate.ts';

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
  readonly #running = new Set<AbortController>();

  constructor({ maxRequests, timeoutMs }: InFlightOptions) {
    this.#timeoutMs = timeoutMs;
    const limit = { maxInside: maxRequests, refusal: () => busy(maxRequests) };
    this.#gate = new AdmissionGate({ closed: SHUTTING_DOWN, limit });
  }

  get count(): number {
    return this.#gate.numInside;
  }

  get isDraining(): boolean {
    return this.#gate.isClosed;
  }

  /** Admits the request that `response` answers, or throws QUEUE_FULL or DRAINING. */
  admit(response: Writable): AdmittedRequest {
    const leave = this.#gate.enter();
    const timeoutMs = this.#timeoutMs;
    const controller = new AbortController();
    this.#running.add(controller);
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
        this.#running.delete(controller);
        leave();
      },
    };
  }

  /** Refuses new requests and waits for the running ones; ends those after `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    this.#gate.close();
    const cutOff = setTimeout(() => {
      for (const controller of this.#running) controller.abort(draining());
    }, graceMs);
    await this.#gate.whenEmpty();
    clearTimeout(cutOff);
  }
}

function busy(maxRequests: number): MeshError {
  const message = `the server is busy: ${maxRequests} requests are in flight, its limit`;
  return new MeshError('QUEUE_FULL', message);
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
