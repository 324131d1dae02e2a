import type { InFlight } from '#gateway/http/in-flight.ts';
import type { HttpServer } from '#gateway/http/server.ts';
import { drainInOrder } from '#mesh/process/lifecycle.ts';

interface Parts {
  readonly http: HttpServer;
  readonly inFlight: InFlight;
  /** Frees what requests needed. */
  readonly close: () => Promise<void>;
}

/**
 * Ends a gateway so that a proxy in front of it loses no request. First only the probes say that it
 * ends. Then nobody listens any more, since a proxy goes to another server by itself when a
 * connection is refused, but not when a request is.
 */
export class GatewayEnding {
  readonly #parts: Parts;
  readonly #delayMs: number;
  #skipDelay = () => {};

  constructor(parts: Parts, delayMs: number) {
    this.#parts = parts;
    this.#delayMs = delayMs;
  }

  async drain(graceMs: number): Promise<void> {
    const { http, inFlight, close } = this.#parts;
    const delayMs = Math.min(this.#delayMs, graceMs);
    inFlight.announceEnd();
    await this.#delay(delayMs);
    for (const listener of http.listeners) listener.close();
    const server = { close: (lastWritesMs: number) => closeServer(http, lastWritesMs) };
    await drainInOrder({ work: inFlight, server, close }, graceMs - delayMs);
  }

  /** Ends all requests at once; their clients are told why. */
  hasten(): void {
    this.#skipDelay();
    this.#parts.inFlight.endAll();
  }

  async #delay(ms: number): Promise<void> {
    if (ms === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#skipDelay = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

async function closeServer({ app, listeners }: HttpServer, graceMs: number): Promise<void> {
  // A connection that never sent a request does not count as idle and would delay the end.
  const cutOff = setTimeout(() => {
    for (const listener of listeners) listener.closeAllConnections();
  }, graceMs);
  await Promise.all([app.close(), ...listeners.map(whenClosed)]);
  clearTimeout(cutOff);
}

/** Resolves when a listener has ended and all its connections too. */
function whenClosed(listener: HttpServer['listeners'][number]): Promise<void> {
  return new Promise((resolve) => {
    listener.close(() => resolve());
    listener.closeIdleConnections();
  });
}
