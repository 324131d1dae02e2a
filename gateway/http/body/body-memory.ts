import type { IncomingMessage } from 'node:http';
import { MeshError } from '#mesh/errors.ts';
import { mbOf } from '#mesh/megabytes.ts';

/**
 * Counts the bytes of the bodies of all requests, from their arrival to the end of the answer. A
 * single body is bounded, but many may be sent at once, or left incomplete.
 */
export class BodyMemory {
  readonly maxBytes: number;
  readonly #bytes = new Map<IncomingMessage, number>();
  #numBytes = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get numBytes(): number {
    return this.#numBytes;
  }

  /** Counts further bytes of a request; throws QUEUE_FULL if they are too many. */
  take(request: IncomingMessage, numBytes: number): void {
    if (this.#numBytes + numBytes > this.maxBytes) {
      const message = `the server is busy: the bodies of its requests may have ${mbOf(this.maxBytes)} MB together (key "body-buffer-mb")`;
      throw new MeshError('QUEUE_FULL', message);
    }
    this.#bytes.set(request, (this.#bytes.get(request) ?? 0) + numBytes);
    this.#numBytes += numBytes;
  }

  /** Gives back the bytes that a request has taken. */
  release(request: IncomingMessage): void {
    this.#numBytes -= this.#bytes.get(request) ?? 0;
    this.#bytes.delete(request);
  }
}
