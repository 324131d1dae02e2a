import { abortable } from '#mesh/async/abortable.ts';

export interface FairSlotsOptions {
  /** Most callers inside at once. */
  readonly limit: number;
  /** Most callers of one client inside at once. */
  readonly maxPerClient: number;
  /** Most callers of one request inside at once. */
  readonly maxPerRequest: number;
}

/** Who wants a slot. */
export interface SlotAsker {
  readonly client: string;
  /** Callers of one request share its part of the slots; "": a request by itself. */
  readonly requestId: string;
  readonly signal: AbortSignal;
}

interface Waiting {
  readonly request: RequestShare;
  readonly admit: () => void;
}

interface Share {
  numInside: number;
  numWaiting: number;
  /** Turn at which a caller was let in last; 0: never. */
  lastTurn: number;
}

/** Invariant: numInside <= maxPerClient; dropped when nothing is inside and nothing waits. */
interface ClientShare extends Share {
  readonly name: string;
  readonly requests: Map<string | symbol, RequestShare>;
}

/** Invariant: numInside <= maxPerRequest; dropped when nothing is inside and nothing waits. */
interface RequestShare extends Share {
  readonly key: string | symbol;
  readonly client: ClientShare;
}

/**
 * Lets a bounded number of callers in, shared out between clients, and what a client has between its
 * requests: of those that wait, whoever has the fewest callers inside is next, then who waits longest
 * for a turn.
 */
export class FairSlots {
  readonly #options: FairSlotsOptions;
  readonly #clients = new Map<string, ClientShare>();
  /** In order of arrival. */
  readonly #waiting: Waiting[] = [];
  #numInside = 0;
  #turn = 0;

  constructor(options: FairSlotsOptions) {
    this.#options = options;
  }

  /** Runs work in a slot. */
  async run<T>(asker: SlotAsker, work: () => Promise<T>): Promise<T> {
    const leave = await this.enter(asker);
    try {
      return await work();
    } finally {
      leave();
    }
  }

  /** Waits for a slot; returns the function that leaves it. */
  async enter({ client, requestId, signal }: SlotAsker): Promise<() => void> {
    signal.throwIfAborted();
    const request = this.#requestOf(client, requestId === '' ? Symbol('unnamed') : requestId);
    let admit = () => {};
    const admitted = new Promise<void>((resolve) => {
      admit = resolve;
    });
    const waiting = { request, admit };
    for (const share of sharesOf(request)) share.numWaiting += 1;
    this.#waiting.push(waiting);
    this.#admit();
    try {
      await abortable(admitted, signal);
    } catch (error: unknown) {
      const index = this.#waiting.indexOf(waiting);
      // Let in and aborted at the same moment: the slot goes to the next one.
      if (index === -1) this.#leave(request);
      else this.#withdraw(index);
      throw error;
    }
    return () => this.#leave(request);
  }

  #requestOf(name: string, key: string | symbol): RequestShare {
    const client = this.#clients.get(name) ?? { ...noShare(), name, requests: new Map() };
    this.#clients.set(name, client);
    const request = client.requests.get(key) ?? { ...noShare(), key, client };
    client.requests.set(key, request);
    return request;
  }

  #admit(): void {
    while (this.#numInside < this.#options.limit) {
      const next = this.#next();
      if (next === undefined) return;
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      this.#turn += 1;
      for (const share of sharesOf(next.request)) {
        share.lastTurn = this.#turn;
        share.numWaiting -= 1;
        share.numInside += 1;
      }
      this.#numInside += 1;
      next.admit();
    }
  }

  #next(): Waiting | undefined {
    const { maxPerClient, maxPerRequest } = this.#options;
    let best: Waiting | undefined;
    for (const one of this.#waiting) {
      const { request } = one;
      if (request.client.numInside >= maxPerClient || request.numInside >= maxPerRequest) continue;
      if (best === undefined || isBefore(request, best.request)) best = one;
    }
    return best;
  }

  #leave(request: RequestShare): void {
    for (const share of sharesOf(request)) share.numInside -= 1;
    this.#numInside -= 1;
    this.#forgetIdle(request);
    this.#admit();
  }

  #withdraw(index: number): void {
    for (const { request } of this.#waiting.splice(index, 1)) {
      for (const share of sharesOf(request)) share.numWaiting -= 1;
      this.#forgetIdle(request);
    }
  }

  #forgetIdle(request: RequestShare): void {
    const { client, key } = request;
    if (isIdle(request)) client.requests.delete(key);
    if (isIdle(client)) this.#clients.delete(client.name);
  }
}

function noShare(): Share {
  return { numInside: 0, numWaiting: 0, lastTurn: 0 };
}

/** Returns what a caller of a request is counted in. */
function sharesOf(request: RequestShare): readonly Share[] {
  return [request, request.client];
}

function isIdle({ numInside, numWaiting }: Share): boolean {
  return numInside + numWaiting === 0;
}

function isBefore(a: RequestShare, b: RequestShare): boolean {
  return a.client === b.client ? hasLess(a, b) : hasLess(a.client, b.client);
}

function hasLess(a: Share, b: Share): boolean {
  if (a.numInside !== b.numInside) return a.numInside < b.numInside;
  return a.lastTurn < b.lastTurn;
}
