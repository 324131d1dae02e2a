import { abortable } from '#mesh/async/abortable.ts';

export interface FairSlotsOptions {
  /** Most callers inside at once. */
  readonly limit: number;
  /** Most callers of one request inside at once. */
  readonly maxPerRequest: number;
}

interface Waiting {
  readonly request: RequestShare;
  readonly admit: () => void;
}

/** Invariant: numInside <= maxPerRequest; dropped when nothing is inside and nothing waits. */
interface RequestShare {
  readonly key: string | symbol;
  numInside: number;
  numWaiting: number;
  /** Turn at which a caller of the request was let in last; 0: never. */
  lastTurn: number;
}

/**
 * Lets a bounded number of callers in, shared out between requests: of those that wait, the request
 * with the fewest callers inside is next, then the one that waits longest for a turn.
 */
export class FairSlots {
  readonly #options: FairSlotsOptions;
  readonly #requests = new Map<string | symbol, RequestShare>();
  /** In order of arrival. */
  readonly #waiting: Waiting[] = [];
  #numInside = 0;
  #turn = 0;

  constructor(options: FairSlotsOptions) {
    this.#options = options;
  }

  /** Runs work in a slot; an unnamed request ("") is one by itself each time. */
  async run<T>(requestId: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const leave = await this.enter(requestId, signal);
    try {
      return await work();
    } finally {
      leave();
    }
  }

  /** Waits for a slot; returns the function that leaves it. */
  async enter(requestId: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const request = this.#shareOf(requestId === '' ? Symbol('unnamed') : requestId);
    let admit = () => {};
    const admitted = new Promise<void>((resolve) => {
      admit = resolve;
    });
    const waiting = { request, admit };
    request.numWaiting += 1;
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

  #shareOf(key: string | symbol): RequestShare {
    const known = this.#requests.get(key);
    if (known !== undefined) return known;
    const share = { key, numInside: 0, numWaiting: 0, lastTurn: 0 };
    this.#requests.set(key, share);
    return share;
  }

  #admit(): void {
    while (this.#numInside < this.#options.limit) {
      const next = this.#next();
      if (next === undefined) return;
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      const { request } = next;
      this.#turn += 1;
      request.lastTurn = this.#turn;
      request.numWaiting -= 1;
      request.numInside += 1;
      this.#numInside += 1;
      next.admit();
    }
  }

  #next(): Waiting | undefined {
    let best: Waiting | undefined;
    for (const one of this.#waiting) {
      if (one.request.numInside >= this.#options.maxPerRequest) continue;
      if (best === undefined || isBefore(one.request, best.request)) best = one;
    }
    return best;
  }

  #leave(request: RequestShare): void {
    request.numInside -= 1;
    this.#numInside -= 1;
    this.#forgetIdle(request);
    this.#admit();
  }

  #withdraw(index: number): void {
    for (const { request } of this.#waiting.splice(index, 1)) {
      request.numWaiting -= 1;
      this.#forgetIdle(request);
    }
  }

  #forgetIdle({ key, numInside, numWaiting }: RequestShare): void {
    if (numInside + numWaiting === 0) this.#requests.delete(key);
  }
}

function isBefore(a: RequestShare, b: RequestShare): boolean {
  if (a.numInside !== b.numInside) return a.numInside < b.numInside;
  return a.lastTurn < b.lastTurn;
}
