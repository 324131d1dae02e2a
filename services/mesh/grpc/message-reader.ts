import { MeshError } from '#mesh/errors.ts';

/** A byte that tells of compression, and the length of the message. */
const PREFIX_BYTES = 5;

/** Returns a message as gRPC sends it: behind its length, not compressed. */
export function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  bytes[0] = 0;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, PREFIX_BYTES);
  return bytes;
}

/** Cuts the bytes of a call into messages, wherever HTTP/2 has cut them. */
export class MessageReader {
  readonly #maxBytes: number;
  /** Bytes that have come, from `#start` on, and those behind them that are not joined yet. */
  #bytes: Buffer = EMPTY;
  #start = 0;
  #later: Buffer[] = [];
  #numLater = 0;

  /** `maxBytes` is the length of the largest message that is taken. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(bytes: Buffer): void {
    if (this.#start === this.#bytes.length) {
      this.#bytes = bytes;
      this.#start = 0;
    } else {
      this.#later.push(bytes);
      this.#numLater += bytes.length;
    }
  }

  /** Returns the next message that is complete, without a copy where it came in one piece. */
  next(): Buffer | undefined {
    if (!this.#has(PREFIX_BYTES)) return undefined;
    if (this.#bytes[this.#start] !== 0) {
      throw new MeshError('ENGINE_FAILED', 'a service sent compressed bytes');
    }
    const length = this.#bytes.readUInt32BE(this.#start + 1);
    if (length > this.#maxBytes) {
      const message = `a service sent a message of ${length} bytes; the limit is ${this.#maxBytes}`;
      throw new MeshError('PAYLOAD_TOO_LARGE', message);
    }
    if (!this.#has(PREFIX_BYTES + length)) return undefined;
    const first = this.#start + PREFIX_BYTES;
    this.#start = first + length;
    return this.#bytes.subarray(first, this.#start);
  }

  /** Tells whether so many bytes have come; joins them if they have. */
  #has(numBytes: number): boolean {
    const numJoined = this.#bytes.length - this.#start;
    if (numJoined >= numBytes) return true;
    // Not before, so that a long message is joined once and not with every piece.
    if (numJoined + this.#numLater < numBytes) return false;
    this.#bytes = Buffer.concat([this.#bytes.subarray(this.#start), ...this.#later]);
    this.#start = 0;
    this.#later = [];
    this.#numLater = 0;
    return true;
  }
}

const EMPTY = Buffer.alloc(0);
