/** Most bytes of one block. */
const MAX_BLOCK_BYTES = 256 * 1024;
/** Fewest bytes of one block. */
const MIN_BLOCK_BYTES = 4 * 1024;

/**
 * The bytes of a media item as they come. They are copied into blocks, so that an item that comes
 * byte by byte takes the memory of its bytes and not of as many buffers.
 */
export class ItemBytes {
  readonly #blocks: Buffer[] = [];
  #numBytes = 0;
  /** Free bytes at the end of the last block. */
  #numFree = 0;

  get numBytes(): number {
    return this.#numBytes;
  }

  /** The bytes so far, in order, as views that later bytes do not change. */
  get blocks(): readonly Buffer[] {
    return this.#blocks.map((block, index) =>
      index === this.#blocks.length - 1 ? block.subarray(0, block.length - this.#numFree) : block,
    );
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const block = this.#blockWithRoom();
      const piece = chunk.subarray(at, at + this.#numFree);
      block.set(piece, block.length - this.#numFree);
      this.#numFree -= piece.length;
      this.#numBytes += piece.length;
      at += piece.length;
    }
  }

  /** Returns all bytes in one piece and keeps none. */
  take(): Buffer {
    const bytes = Buffer.concat(this.blocks);
    this.#blocks.length = 0;
    this.#numBytes = 0;
    this.#numFree = 0;
    return bytes;
  }

  #blockWithRoom(): Buffer {
    const last = this.#blocks.at(-1);
    if (last !== undefined && this.#numFree > 0) return last;
    // A block is as large as all bytes so far, so that a small item takes a small block.
    const size = Math.min(Math.max(this.#numBytes, MIN_BLOCK_BYTES), MAX_BLOCK_BYTES);
    const block = Buffer.allocUnsafeSlow(size);
    this.#blocks.push(block);
    this.#numFree = size;
    return block;
  }
}
