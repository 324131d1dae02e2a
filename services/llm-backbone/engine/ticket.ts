import type { MeshError } from '#mesh/errors.ts';

export interface TicketOptions {
  /** Opaque name of who asks; queues are shared out between names. */
  readonly client: string;
  /** Lower numbers are scheduled first. */
  readonly priority: number;
  /** Monotonic time, milliseconds. */
  readonly arrivalMs: number;
  /** Tells whether the prompt has media, whose rows come later. */
  readonly needsMedia: boolean;
  /** Tells that another instance began the answer; unset: false. */
  readonly isResumed?: boolean;
}

/** One request in the waiting queue, from its arrival on. Its sequences share it. */
export class Ticket implements TicketOptions {
  readonly client: string;
  readonly priority: number;
  readonly arrivalMs: number;
  readonly needsMedia: boolean;
  readonly isResumed: boolean;
  /** Tells that a step with all that a sequence of the request lacked has been planned. */
  hasStarted = false;
  readonly #displacement = new AbortController();

  constructor(options: TicketOptions) {
    this.client = options.client;
    this.priority = options.priority;
    this.arrivalMs = options.arrivalMs;
    this.needsMedia = options.needsMedia;
    this.isResumed = options.isResumed ?? false;
  }

  /** Aborts with a MeshError when another request takes this one's place in the queue. */
  get displaced(): AbortSignal {
    return this.#displacement.signal;
  }

  displace(error: MeshError): void {
    this.#displacement.abort(error);
  }
}
