import assert from 'node:assert/strict';
import { MeshError } from '#mesh/errors.ts';
import { BlockPool } from './block-pool.ts';
import type { PlaceholderRange } from './placeholder-range.ts';
import { PrefixCache } from './prefix-cache.ts';
import type { Sequence } from './sequence.ts';
import { insertInOrder, removeFrom } from './sequence-order.ts';
import { type ScheduledChunk, type ScheduledStep, StepDraft } from './step-draft.ts';

export interface SchedulerOptions {
  readonly numBlocks: number;
  /** Tokens in a block. */
  readonly blockSize: number;
  readonly maxNumSeqs: number;
  readonly maxNumBatchedTokens: number;
  readonly maxNumWaiting: number;
}

/** Totals since the scheduler was made. */
export interface SchedulerCounts {
  numPreemptions: number;
  /** Prompt tokens looked up in the prefix cache; `numPrefixHitTokens` counts those found. */
  numPrefixQueryTokens: number;
  numPrefixHitTokens: number;
}

/** Media rows without which a sequence cannot go on. */
export interface WantedRows {
  readonly sequence: Sequence;
  readonly range: PlaceholderRange;
}

/**
 * Decides which tokens the next step computes: decode first, then prefill chunks, up to the token
 * budget. A step is a transaction: `schedule` plans it and reserves its blocks, `commit` or `fail`
 * ends it. Running sequences hold the blocks of all their known tokens; when blocks run out, the
 * sequence of lowest priority and latest arrival is preempted and later recomputed.
 *
 * A sequence whose next rows of media are missing never runs: it waits without blocks, and others
 * overtake it. Meanwhile the text before those rows prefills in full blocks, which the prefix cache
 * keeps.
 */
export class Scheduler {
  readonly options: SchedulerOptions;
  readonly pool: BlockPool;
  readonly prefixCache: PrefixCache;
  readonly counts: SchedulerCounts = {
    numPreemptions: 0,
    numPrefixQueryTokens: 0,
    numPrefixHitTokens: 0,
  };
  /** Sequences that wait, like those that run, in the order of priority, then arrival. */
  readonly #waiting: Sequence[] = [];
  readonly #running: Sequence[] = [];
  #wanted: WantedRows[] = [];
  /** Places in the waiting queue that are reserved for sequences of requests being read. */
  #numExpected = 0;
  #step: ScheduledStep | null = null;

  constructor(options: SchedulerOptions) {
    this.options = options;
    this.pool = new BlockPool(options.numBlocks);
    this.prefixCache = new PrefixCache(this.pool);
  }

  get waiting(): readonly Sequence[] {
    return this.#waiting;
  }

  get running(): readonly Sequence[] {
    return this.#running;
  }

  /** Tokens the whole KV cache holds. */
  get numCacheTokens(): number {
    return this.options.numBlocks * this.options.blockSize;
  }

  /** Refuses `numSequences` more sequences if the waiting queue has no room for them. */
  #checkRoom(numSequences: number): void {
    const { maxNumWaiting } = this.options;
    const numWaiting = this.#waiting.length + this.#numExpected;
    if (numWaiting + numSequences <= maxNumWaiting) return;
    throw new MeshError(
      'QUEUE_FULL',
      `${numWaiting} sequences are waiting and at most ${maxNumWaiting} may; ${numSequences} more do not fit, retry later`,
    );
  }

  /**
   * Reserves places in the waiting queue for a request that is being read; throws QUEUE_FULL. Call
   * the returned function once to give them up.
   */
  expect(numSequences: number): () => void {
    this.#checkRoom(numSequences);
    this.#numExpected += numSequences;
    return () => {
      this.#numExpected -= numSequences;
    };
  }

  /** Queues the sequences of one request, all or none. */
  add(sequences: readonly Sequence[]): void {
    this.#checkRoom(sequences.length);
    for (const sequence of sequences) {
      assert(this.#numBlocksFor(sequence) <= this.options.numBlocks, 'sequence can never fit');
      insertInOrder(this.#waiting, sequence);
    }
  }

  /** Takes a sequence out and frees its blocks. Not allowed while a step that holds it runs. */
  remove(sequence: Sequence): void {
    if (sequence.state === 'finished') return;
    removeFrom(sequence.state === 'waiting' ? this.#waiting : this.#running, sequence);
    this.#release(sequence);
    sequence.state = 'finished';
  }

  /** Plans the next step and reserves its blocks; null when there is nothing to compute. */
  schedule(): ScheduledStep | null {
    assert(this.#step === null, 'a step is still open');
    const draft = new StepDraft(this.options.maxNumBatchedTokens);
    this.#scheduleRunning(draft);
    if (!draft.hasPreempted) this.#scheduleWaiting(draft);
    this.#step = draft.finish();
    return this.#step;
  }

  /** Returns the rows that planning has found missing since the last call, each of them once. */
  takeWanted(): readonly WantedRows[] {
    const wanted = this.#wanted;
    this.#wanted = [];
    return wanted;
  }

  /**
   * Ends a step that succeeded. `sampledIds` has one entry per chunk, null if the chunk samples
   * nothing. Sequences removed meanwhile are skipped.
   */
  commit(step: ScheduledStep, sampledIds: readonly (number | null)[]): void {
    this.#close(step);
    for (const [i, chunk] of step.chunks.entries()) {
      const { sequence } = chunk;
      if (sequence.state !== 'running') continue;
      this.#commitTokens(chunk);
      const tokenId = sampledIds[i] ?? null;
      if (tokenId !== null) sequence.append(tokenId);
      else if (sequence.numUncomputedTokens === 0) sequence.end = { reason: 'length' };
      if (sequence.end !== null) this.remove(sequence);
    }
  }

  /** Ends a step that failed: nothing was computed, and the sequences in it are gone. */
  fail(step: ScheduledStep): void {
    this.#close(step);
    for (const { sequence } of step.chunks) this.remove(sequence);
  }

  #close(step: ScheduledStep): void {
    assert(this.#step === step, 'not the open step');
    this.#step = null;
  }

  #scheduleRunning(draft: StepDraft): void {
    for (const sequence of [...this.#running]) {
      if (this.#computableEnd(sequence) <= sequence.numComputedTokens) this.#suspend(sequence);
    }
    const decodes = this.#running.filter((sequence) => sequence.numUncomputedTokens === 1);
    const prefills = this.#running.filter((sequence) => sequence.numUncomputedTokens > 1);
    for (const sequence of [...decodes, ...prefills]) {
      if (draft.budget === 0) return;
      // An earlier sequence may have taken this one's blocks.
      if (sequence.state !== 'running' || !this.#grow(sequence, draft)) continue;
      draft.add(sequence, this.#computableEnd(sequence));
    }
  }

  /** Completes the block table for all known tokens; false if the sequence itself was preempted. */
  #grow(sequence: Sequence, draft: StepDraft): boolean {
    const numMissing = this.#numBlocksFor(sequence) - sequence.blockTable.length;
    while (this.pool.numFree < numMissing) {
      const victim = this.#running.at(-1);
      assert(victim !== undefined, 'blocks are missing and nothing runs');
      this.#preempt(victim, draft);
      if (victim === sequence) return false;
    }
    this.#takeBlocks(sequence, numMissing);
    return true;
  }

  #preempt(victim: Sequence, draft: StepDraft): void {
    draft.drop(victim);
    this.#suspend(victim);
    this.counts.numPreemptions++;
  }

  /** Returns a running sequence to the waiting queue, without blocks. */
  #suspend(sequence: Sequence): void {
    removeFrom(this.#running, sequence);
    this.#release(sequence);
    sequence.state = 'waiting';
    insertInOrder(this.#waiting, sequence);
  }

  /** Returns the index after the last token that can be computed with the rows at hand. */
  #computableEnd(sequence: Sequence, numComputed = sequence.numComputedTokens): number {
    const end = sequence.media.firstMissing(numComputed);
    if (end === Infinity) return sequence.numTokens;
    // While the sequence waits, only full blocks in the prefix cache last; a sequence with prompt
    // log-probabilities does not use that cache.
    if (sequence.numPromptLogprobs >= 0) return 0;
    const { blockSize } = this.options;
    return Math.floor(end / blockSize) * blockSize;
  }

  #scheduleWaiting(draft: StepDraft): void {
    for (const sequence of [...this.#waiting]) {
      if (draft.budget === 0 || this.#running.length >= this.options.maxNumSeqs) return;
      if (isBehindLeader(sequence)) continue;
      const cached = this.#cachedPrefix(sequence);
      if (this.#waitsForRows(sequence, cached.length)) continue;
      // A sequence that does not fit keeps its place: later ones do not overtake it.
      if (!this.#allocate(sequence, cached)) return;
      removeFrom(this.#waiting, sequence);
      sequence.state = 'running';
      insertInOrder(this.#running, sequence);
      draft.add(sequence, this.#computableEnd(sequence));
    }
  }

  /**
   * Tells whether no token after the cached blocks is computable; reports the rows missing there.
   */
  #waitsForRows(sequence: Sequence, numCachedBlocks: number): boolean {
    const numCached = numCachedBlocks * this.options.blockSize;
    const wanted = sequence.media.takeWanted(numCached);
    this.#wanted.push(...wanted.map((range) => ({ sequence, range })));
    return this.#computableEnd(sequence, numCached) <= numCached;
  }

  /** Gives a waiting sequence its block table, cached prefix first; false if it does not fit. */
  #allocate(sequence: Sequence, cached: number[]): boolean {
    const numMissing = this.#numBlocksFor(sequence) - cached.length;
    const numRevived = cached.filter((block) => this.pool.numReferences(block) === 0).length;
    if (this.pool.numFree - numRevived < numMissing) return false;
    for (const block of cached) this.pool.share(block);
    sequence.blockTable = cached;
    sequence.numComputedTokens = cached.length * this.options.blockSize;
    this.#takeBlocks(sequence, numMissing);
    this.#countCached(sequence);
    return true;
  }

  /**
   * Returns blocks that already hold the start of the sequence; its last token is always computed.
   */
  #cachedPrefix(sequence: Sequence): number[] {
    const blocks: number[] = [];
    // Cached tokens have no logits, which the log-probabilities of every prompt token need.
    if (sequence.numPromptLogprobs >= 0) return blocks;
    const numBlocks = Math.floor((sequence.numTokens - 1) / this.options.blockSize);
    for (let i = 0; i < numBlocks; i++) {
      const hash = sequence.blockHash(i, this.options.blockSize);
      const block = this.prefixCache.blockOf(hash);
      if (block === undefined) break;
      blocks.push(block);
    }
    return blocks;
  }

  #countCached(sequence: Sequence): void {
    if (sequence.numCachedTokens !== null) return;
    sequence.numCachedTokens = Math.min(sequence.numComputedTokens, sequence.numPromptTokens);
    this.counts.numPrefixQueryTokens += sequence.numPromptTokens;
    this.counts.numPrefixHitTokens += sequence.numCachedTokens;
  }

  #takeBlocks(sequence: Sequence, numBlocks: number): void {
    for (let i = 0; i < numBlocks; i++) sequence.blockTable.push(this.prefixCache.take());
  }

  #commitTokens({ sequence, numTokens, scoredRows }: ScheduledChunk): void {
    const { blockSize } = this.options;
    const firstOpen = Math.floor(sequence.numComputedTokens / blockSize);
    sequence.numComputedTokens += numTokens;
    sequence.media.dropBefore(sequence.numComputedTokens);
    sequence.numScoredRows = Math.max(sequence.numScoredRows, scoredRows.end);
    if (sequence.numUncomputedTokens === 0) sequence.hasPrefilled = true;
    // The blocks hold what their hashes say only after the step.
    const numFull = Math.floor(sequence.numComputedTokens / blockSize);
    for (const [i, block] of sequence.blockTable.slice(firstOpen, numFull).entries()) {
      this.prefixCache.insert(sequence.blockHash(firstOpen + i, blockSize), block);
    }
  }

  #release(sequence: Sequence): void {
    this.prefixCache.release(sequence.blockTable);
    sequence.blockTable = [];
    sequence.numComputedTokens = 0;
  }

  #numBlocksFor(sequence: Sequence): number {
    return Math.ceil(sequence.numTokens / this.options.blockSize);
  }
}

function isBehindLeader({ leader }: Sequence): boolean {
  return leader !== null && leader.state !== 'finished' && !leader.hasPrefilled;
}
