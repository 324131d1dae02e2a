import type { Writable } from 'node:stream';
import { MeshError } from '#mesh/errors.ts';

export interface InFlightOptions {
  /** Requests at once beyond which new ones are refused. */
  readonly maxRequests: number;
  /** Deadline of a request, milliseconds. */
  readonly timeoutMs: number;
}

/** One admitted request. */
export interface AdmittedRequest {
  /** Aborted, with a MeshError as its reason, when the answer is no longer wanted or allowed. */
  readonly signal: AbortSignal;
  /** To be called once, however the request ends. */
  end(): void;
}

/** Admits the requests that occupy a backbone, and ends them: deadline, client gone, drain. */
export class InFlight {
  readonly #options: InFlightOptions;
  readonly #running = new Set<AbortController>();
  #isDraining = false;
  #onIdle: (() => void) | undefined;

  constructor(options: InFlightOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#running.size;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Admits the request that `response` answers, or throws QUEUE_FULL or DRAINING. */
  admit(response: Writable): AdmittedRequest {
    const { maxRequests, timeoutMs } = this.#options;
    if (this.#isDraining) throw draining();
    if (this.#running.size >= maxRequests) {
      const message = `the server is busy: ${maxRequests} requests are in flight, its limit`;
      throw new MeshError('QUEUE_FULL', message);
    }
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
        if (this.#running.size === 0) this.#onIdle?.();
      },
    };
  }

  /** Refuses new requests and waits for the running ones; past `graceMs` ends those. */
  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true;
    if (this.#running.size === 0) return;
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    const cutOff = setTimeout(() => {
      for (const controller of this.#running) controller.abort(draining());
    }, graceMs);
    await idle;
    clearTimeout(cutOff);
  }
}

function draining(): MeshError {
  return new MeshError('DRAINING', 'the server is shutting down; try another or try again shortly');
}

function late(timeoutMs: number): MeshError {
  const message = `the request was not finished within its deadline of ${timeoutMs / 1000} s`;
  return new MeshError('DEADLINE_EXCEEDED', message);
}

function gone(): MeshError {
  return new MeshError('CANCELLED', 'the client has gone');
}
