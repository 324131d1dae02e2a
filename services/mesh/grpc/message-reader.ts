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
  #parts: Buffer[] = [];
  #numBytes = 0;
  /** Length of the message whose prefix has been taken. */
  #length: number | undefined;

  /** `maxBytes` is the length of the largest message that is taken. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#numBytes += bytes.length;
  }

  /** Returns the next message that is complete, without a copy where it came in one piece. */
  next(): Buffer | undefined {
    this.#length ??= this.#readLength();
    if (this.#length === undefined || this.#numBytes < this.#length) return undefined;
    const message = this.#take(this.#length);
    this.#length = undefined;
    return message;
  }

  #readLength(): number | undefined {
    if (this.#numBytes < PREFIX_BYTES) return undefined;
    const prefix = this.#take(PREFIX_BYTES);
    if (prefix[0] !== 0) throw new MeshError('ENGINE_FAILED', 'a service sent compressed bytes');
    const length = prefix.readUInt32BE(1);
    if (length <= this.#maxBytes) return length;
    const message = `a service sent a message of ${length} bytes; the limit is ${this.#maxBytes}`;
    throw new MeshError('PAYLOAD_TOO_LARGE', message);
  }

  #take(numBytes: number): Buffer {
    const [first = EMPTY] = this.#parts;
    const all = this.#parts.length > 1 ? Buffer.concat(this.#parts) : first;
    this.#parts = all.length > numBytes ? [all.subarray(numBytes)] : [];
    this.#numBytes -= numBytes;
    return all.subarray(0, numBytes);
  }
}

const EMPTY = Buffer.alloc(0);
