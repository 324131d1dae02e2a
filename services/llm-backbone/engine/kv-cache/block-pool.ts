import assert from 'node:assert/strict';

/**
 * Counts the references to every KV cache block and keeps the free ones in order of reuse.
 *
 * Always true: a block is in the free list exactly when `references[block] = 0`. A free block keeps
 * its contents until `take` hands it out, so a caller that remembers them can `share` it again.
 */
export class BlockPool {
  readonly numBlocks: number;
  /** `[num_blocks]`: the number of block tables that hold each block. */
  readonly #references: Uint32Array;
  /** `[num_blocks + 1]`: circular list of free blocks; entry `num_blocks` is its head. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  #numFree = 0;

  constructor(numBlocks: number) {
    assert(Number.isInteger(numBlocks) && numBlocks > 0, `a pool of ${numBlocks} blocks`);
    this.numBlocks = numBlocks;
    this.#references = new Uint32Array(numBlocks);
    this.#next = new Int32Array(numBlocks + 1).fill(numBlocks);
    this.#previous = new Int32Array(numBlocks + 1).fill(numBlocks);
    for (let block = 0; block < numBlocks; block++) this.#insertBefore(numBlocks, block);
  }

  get numFree(): number {
    return this.#numFree;
  }

  numReferences(block: number): number {
    return this.#references[block] ?? 0;
  }

  /** Hands out the free block that is next in the order of reuse. */
  take(): number {
    const block = this.#next[this.numBlocks] ?? this.numBlocks;
    assert(block !== this.numBlocks, 'no free block to take');
    this.#unlink(block);
    this.#references[block] = 1;
    return block;
  }

  /** Adds a reference to a block whose contents are wanted, free or not. */
  share(block: number): void {
    const references = this.numReferences(block);
    if (references === 0) this.#unlink(block);
    this.#references[block] = references + 1;
  }

  /**
   * Drops one reference. A block that becomes free is reused last if its contents are worth
   * keeping, first otherwise.
   */
  release(block: number, options: { readonly keepContents: boolean }): void {
    const references = this.numReferences(block);
    assert(references > 0, `block ${block} is already free`);
    this.#references[block] = references - 1;
    if (references > 1) return;
    const head = this.numBlocks;
    this.#insertBefore(options.keepContents ? head : (this.#next[head] ?? head), block);
  }

  /** Yields the free blocks in order of reuse. */
  *freeBlocks(): Generator<number> {
    const head = this.numBlocks;
    for (let block = this.#next[head] ?? head; block !== head; block = this.#next[block] ?? head) {
      yield block;
    }
  }

  #insertBefore(follower: number, block: number): void {
    const previous = this.#previous[follower] ?? follower;
    this.#next[previous] = block;
    this.#previous[block] = previous;
    this.#next[block] = follower;
    this.#previous[follower] = block;
    this.#numFree++;
  }

  #unlink(block: number): void {
    const next = this.#next[block] ?? this.numBlocks;
    const previous = this.#previous[block] ?? this.numBlocks;
    this.#next[previous] = next;
    this.#previous[next] = previous;
    this.#numFree--;
  }
}
