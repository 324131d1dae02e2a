/** Bytes up to which a body is kept as it came. */
const SLAB_BYTES = 1024 * 1024;

/**
 * Collects a body. What comes after the first megabyte is copied into slabs, which another thread
 * can take over without a copy, and which the system gets back as soon as they are freed.
 */
export class BodyBytes {
  readonly #slabs: ArrayBuffer[] = [];
  #blocks: Buffer[] = [];
  #numWaiting = 0;
  #numBytes = 0;

  get numBytes(): number {
    return this.#numBytes;
  }

  push(block: Buffer): void {
    this.#numBytes += block.length;
    this.#numWaiting += block.length;
    this.#blocks.push(block);
    if (this.#numWaiting >= SLAB_BYTES) this.#fillSlab();
  }

  /** Returns the whole body as buffers of its own, each of at least a megabyte but the last. */
  slabs(): ArrayBuffer[] {
    if (this.#numWaiting > 0) this.#fillSlab();
    return this.#slabs;
  }

  /** Returns the whole body as one buffer; one that came in one piece is not copied. */
  joined(): Buffer {
    const [first] = this.#blocks;
    if (first !== undefined && first.length === this.#numBytes) return first;
    return joined(this.slabs());
  }

  #fillSlab(): void {
    const slab = new ArrayBuffer(this.#numWaiting);
    let at = 0;
    for (const block of this.#blocks) {
      new Uint8Array(slab).set(block, at);
      at += block.length;
    }
    this.#slabs.push(slab);
    this.#blocks = [];
    this.#numWaiting = 0;
  }
}

/** Returns the bytes of slabs as one buffer. */
export function joined(slabs: readonly ArrayBuffer[]): Buffer {
  return Buffer.concat(slabs.map((slab) => Buffer.from(slab)));
}
