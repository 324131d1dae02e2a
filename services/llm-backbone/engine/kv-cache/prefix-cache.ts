import type { BlockPool } from './block-pool.ts';

/**
 * Remembers which full block of the pool holds the keys and values of which token prefix. A block
 * stays findable after its sequences are gone, until the pool hands it out for other contents.
 *
 * Always true: `blocks` and `hashes` are inverse to each other.
 */
export class PrefixCache {
  readonly #pool: BlockPool;
  readonly #blocks = new Map<string, number>();
  readonly #hashes = new Map<number, string>();

  constructor(pool: BlockPool) {
    this.#pool = pool;
  }

  get numCachedBlocks(): number {
    return this.#blocks.size;
  }

  blockOf(hash: string): number | undefined {
    return this.#blocks.get(hash);
  }

  hashOf(block: number): string | undefined {
    return this.#hashes.get(block);
  }

  /** Takes a block for other contents and forgets the ones it held. */
  take(): number {
    const block = this.#pool.take();
    const hash = this.#hashes.get(block);
    if (hash !== undefined) {
      this.#hashes.delete(block);
      this.#blocks.delete(hash);
    }
    return block;
  }

  /**
   * Makes a filled block findable. If another block already holds the same prefix, that one stays
   * the findable copy.
   */
  insert(hash: string, block: number): void {
    if (this.#blocks.has(hash) || this.#hashes.has(block)) return;
    this.#blocks.set(hash, block);
    this.#hashes.set(block, hash);
  }

  /**
   * Drops one reference to each block of a table, last block first, so that a prefix's end is
   * reused first.
   */
  release(blockTable: readonly number[]): void {
    for (const block of blockTable.toReversed()) {
      this.#pool.release(block, { keepContents: this.#hashes.has(block) });
    }
  }
}
