import { MeshError } from '#mesh/errors.ts';

/** A wait for a turn. */
interface Wait {
  readonly grant: () => void;
}

/**
 * Lets what several clients have to be read be worked on piece by piece: clients take turns,
 * whatever each of them has waiting.
 */
export class Turns {
  readonly #maxAtOnce: number;
  readonly #maxWaiting: number;
  /** Waits by client, in the order in which clients take turns. */
  readonly #waiting = new Map<string, Wait[]>();
  #numRunning = 0;
  #numWaiting = 0;

  constructor({
    maxAtOnce,
    maxWaiting,
  }: { readonly maxAtOnce: number; readonly maxWaiting: number }) {
    this.#maxAtOnce = maxAtOnce;
    this.#maxWaiting = maxWaiting;
  }

  get numWaiting(): number {
    return this.#numWaiting;
  }

  /** Works when it is the client's turn; throws QUEUE_FULL, or the signal's reason. */
  async take<T>(client: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#numRunning >= this.#maxAtOnce) await this.#wait(client, signal);
    else this.#numRunning++;
    try {
      return await work();
    } finally {
      this.#numRunning--;
      this.#grantNext();
    }
  }

  #wait(client: string, signal: AbortSignal): Promise<void> {
    if (this.#numWaiting >= this.#maxWaiting) {
      const message = `${this.#numWaiting} large prompts or forms are waiting to be read, as many as may wait (key "max-large-prompts"); try again later`;
      return Promise.reject(new MeshError('QUEUE_FULL', message));
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#remove(client, wait);
        reject(signal.reason);
      };
      const wait = {
        grant: () => {
          signal.removeEventListener('abort', leave);
          resolve();
        },
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#numWaiting++;
      const own = this.#waiting.get(client);
      if (own === undefined) this.#waiting.set(client, [wait]);
      else own.push(wait);
    });
  }

  #remove(client: string, wait: Wait): void {
    const others = this.#waiting.get(client)?.filter((one) => one !== wait) ?? [];
    this.#numWaiting--;
    if (others.length === 0) this.#waiting.delete(client);
    else this.#waiting.set(client, others);
  }

  /** Gives the turn to the client that has waited longest for one. */
  #grantNext(): void {
    const [next] = this.#waiting;
    if (next === undefined) return;
    const [client, [wait, ...rest]] = next;
    // The client goes to the end of the line.
    this.#waiting.delete(client);
    if (rest.length > 0) this.#waiting.set(client, rest);
    if (wait === undefined) return;
    this.#numWaiting--;
    this.#numRunning++;
    wait.grant();
  }
}
