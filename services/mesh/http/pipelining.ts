import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** What becomes of a request: it is answered, refused with the last answer of its connection, or dropped. */
export type Standing = 'answered' | 'refused' | 'dropped';

/**
 * Bounds the requests that a connection sends before it has the answers to those before. Node begins
 * all that are in what it has read, in one turn of the event loop: two thousand in 64 kB, and it reads
 * thirty times as much.
 */
export class Pipelining {
  readonly #maxOpen: number;
  readonly #numOpen = new WeakMap<Socket, number>();

  /** `maxOpen` requests of a connection may be open at once. */
  constructor(maxOpen: number) {
    this.#maxOpen = maxOpen;
  }

  /**
   * Counts a request until its answer has ended, and says what is to become of it. Whoever has sent
   * twice as many as are answered reads no answer, and is cut off.
   */
  enter({ socket }: Pick<IncomingMessage, 'socket'>, response: ServerResponse): Standing {
    if (socket.destroyed) return 'dropped';
    const numOpen = (this.#numOpen.get(socket) ?? 0) + 1;
    this.#numOpen.set(socket, numOpen);
    if (numOpen <= this.#maxOpen) {
      response.once('close', () => this.#leave(socket));
      return 'answered';
    }
    if (numOpen > 3 * this.#maxOpen) socket.destroy();
    if (numOpen > this.#maxOpen + 1) return 'dropped';
    // Whatever is answered before it, the next one finds too many.
    this.#numOpen.set(socket, numOpen + this.#maxOpen);
    response.shouldKeepAlive = false;
    return 'refused';
  }

  #leave(socket: Socket): void {
    this.#numOpen.set(socket, (this.#numOpen.get(socket) ?? 1) - 1);
  }
}
