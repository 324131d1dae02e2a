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
 * again. No client holds more than what is left free for others, apart from its only request.
 */
export class MediaBuffer {
  readonly #limits: MediaLimits;
  #numBytes = 0;
  readonly #bytesOf = new Map<string, number>();

  constructor(limits: MediaLimits) {
    this.#limits = limits;
  }

  get numBytes(): number {
    return this.#numBytes;
  }

  /** Reserves room for a request's items; call the returned function once to give it back. */
  reserve(items: readonly MediaIdentity[], client: string): () => void {
    const numBytes = items.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const { maxRequestBytes } = this.#limits;
    if (items.length > MAX_ITEMS) {
      const message = `the prompt has ${items.length} media items, at most ${MAX_ITEMS} are allowed`;
      throw new MeshError('INVALID_REQUEST', message, { param: 'media' });
    }
    if (numBytes > maxRequestBytes) {
      const message = `the media of the request have ${numBytes} bytes, at most ${maxRequestBytes} are allowed`;
      throw new MeshError('PAYLOAD_TOO_LARGE', message, { param: 'media' });
    }
    this.#checkRoom(numBytes, client);
    this.#take(numBytes, client);
    let isHeld = true;
    return () => {
      if (isHeld) this.#take(-numBytes, client);
      isHeld = false;
    };
  }

  #checkRoom(numBytes: number, client: string): void {
    const { maxBufferBytes } = this.#limits;
    const numOwn = this.#bytesOf.get(client) ?? 0;
    const numFree = maxBufferBytes - this.#numBytes - numBytes;
    if (numFree >= (numOwn === 0 ? 0 : numOwn + numBytes)) return;
    const message = `requests hold ${this.#numBytes} bytes of media, ${numOwn} of them this client's, and at most ${maxBufferBytes} may be held (key "media-buffer-mb"), a client's at most what is left for others; ${numBytes} more do not fit, retry later`;
    throw new MeshError('QUEUE_FULL', message);
  }

  #take(numBytes: number, client: string): void {
    this.#numBytes += numBytes;
    const numOwn = (this.#bytesOf.get(client) ?? 0) + numBytes;
    if (numOwn > 0) this.#bytesOf.set(client, numOwn);
    else this.#bytesOf.delete(client);
  }
}
