import { keptOf } from '#mesh/fairness/client-tally.ts';

export interface SlotLimits {
  /** Most Encode streams to one encoder at once. */
  readonly maxStreams: number;
}

/** An item that wants a stream. */
export interface SlotRequest<P> {
  readonly client: string;
  /** Returns the encoders that may be asked, best first. */
  readonly candidates: () => readonly P[];
  readonly signal: AbortSignal;
}

interface Waiting<P> extends SlotRequest<P> {
  readonly admit: (peer: P | undefined) => void;
}

/**
 * Bounds the Encode streams of each encoder. An item waits for any encoder that may be asked, so one
 * that hangs holds up only the items it has. A free slot goes to the client that has the fewest,
 * then to the item that waits longest; the last slots of an encoder are for clients that have few.
 */
export class EncodeSlots<P> {
  readonly #limits: SlotLimits;
  /** The clients of the streams to each encoder. */
  readonly #running = new Map<P, string[]>();
  #waiting: Waiting<P>[] = [];

  constructor(limits: SlotLimits) {
    this.#limits = limits;
  }

  /**
   * Takes a slot of the best encoder that has one; call `leave` once to free it. Resolves with
   * undefined when no encoder may be asked.
   */
  async enter(request: SlotRequest<P>): Promise<P | undefined> {
    const { signal } = request;
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting = this.#waiting.filter((one) => one !== waiting);
        reject(signal.reason);
      };
      const waiting = {
        ...request,
        admit: (peer: P | undefined) => {
          signal.removeEventListener('abort', onAbort);
          resolve(peer);
        },
      };
      if (this.#tryAdmit(waiting)) return;
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiting);
    });
  }

  /**
   * Takes a slot that is free at once for a second stream of an item; undefined if there is none, or
   * if the client would have more than its share: the slots of all encoders divided evenly among the
   * clients that have streams or want one.
   */
  enterSpare(
    { client, candidates }: Omit<SlotRequest<P>, 'signal'>,
    { numEncoders }: { readonly numEncoders: number },
  ): P | undefined {
    const counts = this.#numByClient();
    const clients = new Set([...counts.keys(), ...this.#waiting.map((one) => one.client), client]);
    const share = (this.#limits.maxStreams * numEncoders) / clients.size;
    if ((counts.get(client) ?? 0) + 1 > share) return undefined;
    const peer = candidates().find((one) => this.#isFree(one, client));
    if (peer !== undefined) this.#take(peer, client);
    return peer;
  }

  leave(peer: P, client: string): void {
    const clients = this.#running.get(peer) ?? [];
    clients.splice(clients.indexOf(client), 1);
    if (clients.length === 0) this.#running.delete(peer);
    this.#admitFirst();
  }

  /** Looks again for encoders, after some have come or gone. */
  refresh(): void {
    while (this.#admitFirst());
  }

  /** Admits the first of those who wait, in fair order, that can be; false if none can. */
  #admitFirst(): boolean {
    const counts = this.#numByClient();
    const countOf = ({ client }: Waiting<P>) => counts.get(client) ?? 0;
    const inOrder = this.#waiting.toSorted((a, b) => countOf(a) - countOf(b));
    const admitted = inOrder.find((waiting) => this.#tryAdmit(waiting));
    this.#waiting = this.#waiting.filter((one) => one !== admitted);
    return admitted !== undefined;
  }

  #tryAdmit({ client, candidates, admit }: Waiting<P>): boolean {
    const peers = candidates();
    const peer = peers.find((one) => this.#isFree(one, client));
    if (peer === undefined && peers.length > 0) return false;
    if (peer !== undefined) this.#take(peer, client);
    admit(peer);
    return true;
  }

  #take(peer: P, client: string): void {
    const clients = this.#running.get(peer) ?? [];
    clients.push(client);
    this.#running.set(peer, clients);
  }

  #isFree(peer: P, client: string): boolean {
    const { maxStreams } = this.#limits;
    const clients = this.#running.get(peer) ?? [];
    const numOwn = clients.filter((one) => one === client).length;
    const numKept = keptOf(maxStreams);
    return clients.length < (numOwn < numKept ? maxStreams : maxStreams - numKept);
  }

  /** Returns how many streams each client has. */
  #numByClient(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const client of [...this.#running.values()].flat()) {
      counts.set(client, (counts.get(client) ?? 0) + 1);
    }
    return counts;
  }
}
