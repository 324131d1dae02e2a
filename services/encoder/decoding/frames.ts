import type { Writable } from 'node:stream';

/** Lengths of a frame's JSON text and of its bytes, 4 bytes each. */
const HEAD_BYTES = 8;
const MAX_TEXT_BYTES = 64 * 1024;

export interface Frame {
  readonly message: unknown;
  /** Bytes that belong to the message, in memory of their own; empty if it has none. */
  readonly bytes: Buffer;
}

/** Writes a message and its bytes, which must not change until they are out. */
export function writeFrame(
  out: Writable,
  message: object,
  bytes: Uint8Array = Buffer.alloc(0),
): void {
  const text = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32LE(text.length, 0);
  head.writeUInt32LE(bytes.length, 4);
  out.write(Buffer.concat([head, text]));
  if (bytes.length > 0) out.write(bytes);
}

/** Puts the frames of a byte stream together; throws at one that is larger than allowed. */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #onFrame: (frame: Frame) => void;
  /** What comes next, filled up to `#numFilled`. */
  #part = Buffer.alloc(HEAD_BYTES);
  #numFilled = 0;
  #phase: 'head' | 'text' | 'bytes' = 'head';
  #numBytes = 0;
  #message: unknown;

  constructor(maxBytes: number, onFrame: (frame: Frame) => void) {
    this.#maxBytes = maxBytes;
    this.#onFrame = onFrame;
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + this.#part.length - this.#numFilled);
      this.#part.set(piece, this.#numFilled);
      this.#numFilled += piece.length;
      at += piece.length;
      while (this.#numFilled === this.#part.length) this.#finishPart();
    }
  }

  #finishPart(): void {
    const part = this.#part;
    if (this.#phase === 'head') {
      this.#numBytes = part.readUInt32LE(4);
      this.#expect('text', bounded(part.readUInt32LE(0), MAX_TEXT_BYTES));
    } else if (this.#phase === 'text') {
      this.#message = JSON.parse(part.toString());
      this.#expect('bytes', bounded(this.#numBytes, this.#maxBytes));
    } else {
      this.#expect('head', HEAD_BYTES);
      this.#onFrame({ message: this.#message, bytes: part });
    }
  }

  #expect(phase: 'head' | 'text' | 'bytes', numBytes: number): void {
    this.#phase = phase;
    this.#part = Buffer.allocUnsafeSlow(numBytes);
    this.#numFilled = 0;
  }
}

function bounded(numBytes: number, max: number): number {
  if (numBytes <= max) return numBytes;
  throw new Error(`a frame of ${numBytes} bytes, at most ${max} are allowed`);
}
