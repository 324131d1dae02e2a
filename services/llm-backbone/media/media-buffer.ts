import { MeshError } from '#mesh/errors.ts';
import type { MediaIdentity } from './media-item.ts';

/** Most items of one request; each takes an encode stream and a place in the prompt. */
const MAX_ITEMS = 256;

export interface MediaLimits {
  readonly maxRequestBytes: number;
  /** Most bytes of all requests together. */
  readonly maxBufferBytes: number;
}

/**
 * Bounds the media bytes that requests hold. They keep them in case evicted rows must be encoded
 * again.
 */
export class MediaBuffer {
  readonly #limits: MediaLimits;
  #numBytes = 0;

  constructor(limits: MediaLimits) {
    this.#limits = limits;
  }

  get numBytes(): number {
    return this.#numBytes;
  }

  /** Reserves room for a request's items; call the returned function once to give it back. */
  reserve(items: readonly MediaIdentity[]): () => void {
    const numBytes = items.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const { maxRequestBytes, maxBufferBytes } = this.#limits;
    if (items.length > MAX_ITEMS) {
      const message = `the prompt has ${items.length} media items, at most ${MAX_ITEMS} are allowed`;
      throw new MeshError('INVALID_REQUEST', message, { param: 'media' });
    }
    if (numBytes > maxRequestBytes) {
      const message = `the media of the request have ${numBytes} bytes, at most ${maxRequestBytes} are allowed`;
      throw new MeshError('PAYLOAD_TOO_LARGE', message, { param: 'media' });
    }
    if (this.#numBytes + numBytes > maxBufferBytes) {
      const message = `requests hold ${this.#numBytes} bytes of media and at most ${maxBufferBytes} may be held; ${numBytes} more do not fit, retry later`;
      throw new MeshError('QUEUE_FULL', message);
    }
    this.#numBytes += numBytes;
    let isHeld = true;
    return () => {
      if (isHeld) this.#numBytes -= numBytes;
      isHeld = false;
    };
  }
}
