import { BlockPool } from './kv-cache/block-pool.ts';
import { PrefixCache } from './kv-cache/prefix-cache.ts';
import type { Sequence } from './sequence.ts';

export interface SequenceBlocksOptions {
  readonly numBlocks: number;
  /** Tokens in a block. */
  readonly blockSize: number;
}

/**
 * Gives sequences the blocks that hold the keys and values of their tokens. Full blocks stay findable
 * by what they hold, so that others begin with them, and their sequence when it comes back.
 */
export class SequenceBlocks {
  readonly pool: BlockPool;
  readonly prefixCache: PrefixCache;
  readonly #blockSize: number;

  constructor({ numBlocks, blockSize }: SequenceBlocksOptions) {
    this.pool = new BlockPool(numBlocks);
    this.prefixCache = new PrefixCache(this.pool);
    this.#blockSize = blockSize;
  }

  /** Returns how many blocks all known tokens of a sequence need. */
  numFor({ numTokens }: Sequence): number {
    return Math.ceil(numTokens / this.#blockSize);
  }

  /** Returns how many blocks a sequence lacks for so many tokens, all known ones unless told. */
  numMissing({ numTokens, blockTable }: Sequence, numNeeded = numTokens): number {
    return Math.ceil(numNeeded / this.#blockSize) - blockTable.length;
  }

  /** Puts free blocks behind those of a sequence; there must be as many. */
  take(sequence: Sequence, numBlocks: number): void {
    for (let i = 0; i < numBlocks; i++) sequence.blockTable.push(this.prefixCache.take());
  }

  /**
   * Returns blocks that already hold the start of the sequence; its last token is always computed.
   */
  cachedPrefix(sequence: Sequence): number[] {
    const blocks: number[] = [];
    if (sequence.needsEveryRow) return blocks;
    const numBlocks = Math.floor((sequence.numTokens - 1) / this.#blockSize);
    for (let i = 0; i < numBlocks; i++) {
      const block = this.prefixCache.blockOf(sequence.blockHash(i, this.#blockSize));
      if (block === undefined) break;
      blocks.push(block);
    }
    return blocks;
  }

  /** Returns how many free blocks a waiting sequence lacks, whose start is cached; 0 if it fits. */
  numLacking(sequence: Sequence, cached: readonly number[]): number {
    // Cached blocks that nobody holds are free until they are shared again.
    const numRevived = cached.filter((block) => this.pool.numReferences(block) === 0).length;
    const numFree = this.pool.numFree - numRevived;
    return Math.max(0, this.numFor(sequence) - cached.length - numFree);
  }

  /** Returns how many free blocks a release would add for one whose start is cached. */
  numFreedBy({ blockTable }: Sequence, cached: readonly number[]): number {
    const isFreed = (block: number) =>
      this.pool.numReferences(block) === 1 && !cached.includes(block);
    return blockTable.filter(isFreed).length;
  }

  /** Gives a waiting sequence its block table, cached prefix first; it must lack none. */
  allocate(sequence: Sequence, cached: number[]): void {
    for (const block of cached) this.pool.share(block);
    sequence.blockTable = cached;
    sequence.numComputedTokens = cached.length * this.#blockSize;
    this.take(sequence, this.numMissing(sequence));
  }

  /** Notes that the keys and values of the next tokens are in the cache. */
  computed(sequence: Sequence, numTokens: number): void {
    const firstOpen = Math.floor(sequence.numComputedTokens / this.#blockSize);
    sequence.numComputedTokens += numTokens;
    // The blocks hold what their hashes say only after the step.
    const numFull = Math.floor(sequence.numComputedTokens / this.#blockSize);
    for (const [i, block] of sequence.blockTable.slice(firstOpen, numFull).entries()) {
      this.prefixCache.insert(sequence.blockHash(firstOpen + i, this.#blockSize), block);
    }
  }

  /** Gives back the blocks that only refused drafts needed. */
  trim(sequence: Sequence): void {
    const surplus = sequence.blockTable.splice(this.numFor(sequence));
    this.prefixCache.release(surplus);
  }

  release(sequence: Sequence): void {
    this.prefixCache.release(sequence.blockTable);
    sequence.blockTable = [];
    sequence.numComputedTokens = 0;
  }
}
