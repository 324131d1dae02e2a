import assert from 'node:assert/strict';
import { FairShares } from '#mesh/fairness/fair-shares.ts';
import type { BlockPool } from './kv-cache/block-pool.ts';
import type { PrefixCache } from './kv-cache/prefix-cache.ts';
import { MaskTime } from './mask-time.ts';
import type { PlaceholderRange } from './placeholder-range.ts';
import { RunningPlaces } from './running-places.ts';
import type { Sequence } from './sequence.ts';
import { SequenceBlocks } from './sequence-blocks.ts';
import { removeFrom, SequenceOrder } from './sequence-order.ts';
import { Speculation } from './speculation.ts';
import type { SpeculationOptions } from './speculation-options.ts';
import { type ScheduledChunk, type ScheduledStep, StepDraft, stepAhead } from './step-draft.ts';
import type { Ticket } from './ticket.ts';
import { type WaitingLimits, WaitingRoom } from './waiting-room.ts';

export interface SchedulerOptions extends WaitingLimits {
  readonly numBlocks: number;
  /** Tokens in a block. */
  readonly blockSize: number;
  readonly maxNumSeqs: number;
  readonly maxNumBatchedTokens: number;
  /** Waiting time that makes up for one step of priority, milliseconds. */
  readonly priorityAgingMs: number;
  /** Null if nothing is drafted. */
  readonly speculation: SpeculationOptions | null;
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
 * Waiting sequences start in fair order: of the client that got the fewest tokens first, in order of
 * arrival within a client. One that was preempted, resumed, or did not fit keeps its place before
 * these.
 *
 * When as many sequences run as may, or as the blocks are enough for, a client that has fewer of them
 * takes places of the one that has most, so that nobody waits for the ends of another client's long
 * answers. A sequence that ceded its place waits in fair order, and finds its blocks in the prefix
 * cache unless others needed them.
 *
 * Prompts of several clients share what a step has beside its decodes: a short one starts at once
 * beside a long one of another client, which gets what the others leave.
 *
 * A client whose masks would keep the others waiting has fewer of its sequences in a step, or none
 * (`MaskTime`).
 *
 * A sequence whose next rows of media are missing never runs: it waits without blocks, and others
 * overtake it. Meanwhile the text before those rows prefills in full blocks, which the prefix cache
 * keeps.
 *
 * Drafts take what budget and blocks are left when everything else has been planned.
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
  /** Sequences that wait, like those that run, in the order of rank, then arrival. */
  readonly #waiting: Sequence[] = [];
  readonly #running: Sequence[] = [];
  readonly #shares = new FairShares();
  readonly #maskTime = new MaskTime();
  readonly #blocks: SequenceBlocks;
  readonly #order: SequenceOrder;
  readonly #room: WaitingRoom;
  readonly #speculation: Speculation | null;
  #wanted: WantedRows[] = [];
  #step: ScheduledStep | null = null;
  /** Step that follows the open one, planned before that has ended. */
  #ahead: ScheduledStep | null = null;
  #isSuspectsTurn = false;

  constructor(options: SchedulerOptions) {
    this.options = options;
    this.#blocks = new SequenceBlocks(options);
    this.pool = this.#blocks.pool;
    this.prefixCache = this.#blocks.prefixCache;
    this.#order = new SequenceOrder(options, this.#shares);
    this.#room = new WaitingRoom(options, this.#order, this.#waiting);
    this.#speculation = options.speculation === null ? null : new Speculation(options.speculation);
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

  /** Number of clients that have waiting or running sequences. */
  get numClients(): number {
    return this.#shares.numClients;
  }

  /** Number of waiting sequences that lack rows of media. */
  get numWaitingForMedia(): number {
    return this.#waiting.filter(({ lacksRows }) => lacksRows).length;
  }

  /**
   * Reserves places in the waiting queue for a request that is being read; throws QUEUE_FULL. The
   * places become those of its sequences when they are added; call `giveUp` if they never are.
   */
  reserve(ticket: Ticket, numSequences: number): void {
    this.#room.reserve(ticket, numSequences);
  }

  giveUp(ticket: Ticket): void {
    this.#room.giveUp(ticket);
  }

  /** Queues the sequences of one request, all or none. */
  add(sequences: readonly Sequence[]): void {
    const unexpected = sequences.filter(({ ticket }) => !this.#room.hasReserved(ticket));
    const [first] = unexpected;
    if (first !== undefined) this.#room.makeRoom(first.ticket, unexpected.length);
    for (const sequence of sequences) {
      assert(this.#blocks.numFor(sequence) <= this.options.numBlocks, 'sequence can never fit');
      this.#room.giveUp(sequence.ticket);
      this.#shares.join(sequence.ticket.client);
      this.#order.insert(this.#waiting, sequence);
    }
  }

  /**
   * Takes a sequence out and frees its blocks and rows. Not allowed while a step that holds it runs,
   * unless that was planned ahead.
   */
  remove(sequence: Sequence): void {
    if (sequence.state === 'finished') return;
    removeFrom(sequence.state === 'waiting' ? this.#waiting : this.#running, sequence);
    this.#blocks.release(sequence);
    sequence.media.dropBefore(Infinity);
    this.#shares.leave(sequence.ticket.client);
    sequence.state = 'finished';
  }

  /** Plans the next step and reserves its blocks; null when there is nothing to compute. */
  schedule(): ScheduledStep | null {
    assert(this.#step === null, 'a step is still open');
    this.#scheduleTurn();
    if (this.#step === null && this.#maskTime.forgive()) this.#scheduleTurn();
    return this.#step;
  }

  #scheduleTurn(): void {
    for (const suspectKey of this.#turns()) {
      const draft = new StepDraft(this.options.maxNumBatchedTokens);
      const takesPart = (sequence: Sequence) => sequence.suspectKey === suspectKey;
      const shortened = this.#scheduleRunning(draft, takesPart);
      if (!draft.hasPreempted) this.#scheduleWaiting(draft, takesPart);
      for (const sequence of shortened) this.#continue(sequence, draft, Infinity);
      this.#speculate(draft);
      this.#step = draft.finish();
      if (this.#step !== null) break;
    }
  }

  /**
   * Plans the step after the open one while that runs, and reserves its blocks: of each sequence the
   * token that the open step chooses. Null if that step does more than choose tokens, if the next
   * one cannot be foreseen, if another sequence could start, or if blocks are missing. A sequence that
   * ends meanwhile has a row in the step for nothing.
   *
   * Blocks that are freed before such a step has ended may be given to the next one: the device runs
   * them in order.
   */
  scheduleAhead(): ScheduledStep | null {
    const step = this.#step;
    if (step === null || this.#ahead !== null || !this.#isForeseeable(step)) return null;
    const ahead = stepAhead(step);
    if (ahead === null) return null;
    const missing = ahead.chunks.map(({ sequence, firstToken }) =>
      this.#blocks.numMissing(sequence, firstToken + 1),
    );
    if (missing.reduce((sum, count) => sum + count, 0) > this.pool.numFree) return null;
    for (const [i, { sequence }] of ahead.chunks.entries()) {
      this.#blocks.take(sequence, missing[i] ?? 0);
    }
    this.#ahead = ahead;
    return ahead;
  }

  get #isFull(): boolean {
    return this.#running.length >= this.options.maxNumSeqs;
  }

  /** Returns how the places are spread over clients if none is free; null otherwise. */
  #placesIfFull(): RunningPlaces | null {
    return this.#isFull ? new RunningPlaces(this.#running) : null;
  }

  /** Tells whether the step after a step is another token of the sequences that are in it. */
  #isForeseeable({ chunks }: ScheduledStep): boolean {
    const live = chunks.filter(({ sequence }) => sequence.state === 'running');
    if (this.#speculation !== null || live.length !== this.#running.length) return false;
    if (this.#startable().next().done !== true) return false;
    return chunks.every(
      ({ sequence, samples, scoredRows }) =>
        samples &&
        scoredRows.start === scoredRows.end &&
        sequence.suspectKey === '' &&
        sequence.sampler.isForeseeable,
    );
  }

  /** Yields the waiting sequences that could start, in a free place or in that of another one. */
  *#startable(): Generator<Sequence> {
    // A full batch of one client is the common case under load, and looks at no waiting sequence.
    if (this.#isFull && this.numClients === 1) return;
    const places = this.#placesIfFull();
    for (const one of this.#waiting) {
      if (this.numClients > 1 && this.#maskTime.isInDebt(one)) continue;
      if (mayStart(one) && (places === null || places.cededTo(one) !== undefined)) yield one;
    }
  }

  /**
   * Returns whose turn it is, then who else has one if nothing of theirs can be computed: "" stands
   * for all that are no suspects. These take turns with the suspects, so that a suspect is alone in
   * its steps and holds nobody up.
   */
  #turns(): string[] {
    const suspects = new Set<string>();
    for (const { suspectKey } of this.#running) if (suspectKey !== '') suspects.add(suspectKey);
    for (const { suspectKey } of this.#waiting) if (suspectKey !== '') suspects.add(suspectKey);
    if (suspects.size === 0) return [''];
    this.#isSuspectsTurn = !this.#isSuspectsTurn;
    return this.#isSuspectsTurn ? [...suspects, ''] : ['', ...suspects];
  }

  /** Returns the rows that planning has found missing since the last call, each of them once. */
  takeWanted(): readonly WantedRows[] {
    const wanted = this.#wanted;
    this.#wanted = [];
    return wanted;
  }

  /**
   * Ends a step that succeeded. `sampledIds` has the tokens that each chunk brought: none if it
   * samples nothing, and one more than it has accepted drafts otherwise. Sequences removed meanwhile
   * are skipped. The step took `ms`, its masks aside.
   */
  commit(step: ScheduledStep, sampledIds: readonly (readonly number[])[], ms: number): void {
    this.#close(step);
    const sequences = step.chunks.map(({ sequence }) => sequence);
    this.#maskTime.count(sequences, ms, this.numClients === 1);
    for (const [i, chunk] of step.chunks.entries()) {
      const { sequence } = chunk;
      if (sequence.state !== 'running') continue;
      this.#commitTokens(chunk);
      const tokenIds = sampledIds[i] ?? [];
      for (const tokenId of tokenIds) sequence.append(tokenId);
      this.#shares.charge(sequence.ticket.client, tokenIds.length);
      if (tokenIds.length > 1) this.#blocks.computed(sequence, tokenIds.length - 1);
      if (tokenIds.length === 0 && sequence.numUncomputedTokens === 0) {
        sequence.end = { reason: 'length' };
      }
      if (sequence.end !== null) this.remove(sequence);
      else if (chunk.draftIds.length > 0) this.#blocks.trim(sequence);
    }
  }

  /** Ends a step that failed: nothing was computed, and the sequences in it are gone. */
  fail(step: ScheduledStep): void {
    this.#close(step);
    for (const { sequence } of step.chunks) this.remove(sequence);
  }

  #close(step: ScheduledStep): void {
    assert(this.#step === step, 'not the open step');
    this.#step = this.#ahead;
    this.#ahead = null;
  }

  /** Returns the sequences that were given less than the step could have taken. */
  #scheduleRunning(draft: StepDraft, takesPart: (sequence: Sequence) => boolean): Sequence[] {
    for (const sequence of [...this.#running]) {
      if (this.#computableEnd(sequence) <= sequence.numComputedTokens) this.#suspend(sequence);
    }
    const taking = this.#running.filter(takesPart);
    const decodes = taking.filter((sequence) => sequence.numUncomputedTokens === 1);
    const prefills = taking.filter((sequence) => sequence.numUncomputedTokens > 1);
    for (const sequence of this.#affordable(decodes)) this.#continue(sequence, draft, Infinity);
    const share = this.#prefillShare(prefills, draft, takesPart);
    const left = new Map<string, number>();
    const shortened: Sequence[] = [];
    for (const sequence of prefills) {
      const { client } = sequence.ticket;
      const most = left.get(client) ?? share;
      const numTokens = this.#continue(sequence, draft, most);
      left.set(client, most - numTokens);
      if (numTokens === most) shortened.push(sequence);
    }
    return shortened;
  }

  /** Returns those of which a step has time for the masks; all of them if nobody else waits. */
  #affordable(decodes: readonly Sequence[]): readonly Sequence[] {
    return this.numClients === 1 ? decodes : this.#maskTime.affordable(decodes);
  }

  /**
   * Returns the tokens of prompts that each client may have in a step if others have prompts, too:
   * running ones, or waiting ones that could start.
   */
  #prefillShare(
    prefills: readonly Sequence[],
    draft: StepDraft,
    takesPart: (sequence: Sequence) => boolean,
  ): number {
    if (prefills.length === 0 || this.numClients === 1) return Infinity;
    const clients = new Set(prefills.map(({ ticket }) => ticket.client));
    for (const sequence of this.#startable()) {
      if (takesPart(sequence)) clients.add(sequence.ticket.client);
    }
    return clients.size === 1 ? Infinity : Math.ceil(draft.budget / clients.size);
  }

  /** Plans at most so many of a running sequence's next tokens; returns how many. */
  #continue(sequence: Sequence, draft: StepDraft, most: number): number {
    if (draft.budget === 0 || most === 0) return 0;
    // An earlier sequence may have taken this one's blocks.
    if (sequence.state !== 'running' || !this.#grow(sequence, draft)) return 0;
    return this.#plan(sequence, draft, most);
  }

  /** Puts the sequence's next tokens into the step, at most so many; returns how many. */
  #plan(sequence: Sequence, draft: StepDraft, most: number): number {
    const end = this.#computableEnd(sequence);
    if (end === sequence.numTokens) sequence.ticket.hasStarted = true;
    return draft.add(sequence, Math.min(end, sequence.numComputedTokens + most));
  }

  /** Completes the block table for all known tokens; false if the sequence itself was preempted. */
  #grow(sequence: Sequence, draft: StepDraft): boolean {
    const numMissing = this.#blocks.numMissing(sequence);
    while (this.pool.numFree < numMissing) {
      const victim = this.#running.at(-1);
      assert(victim !== undefined, 'blocks are missing and nothing runs');
      this.#preempt(victim, draft);
      victim.isDue = true;
      if (victim === sequence) return false;
    }
    this.#blocks.take(sequence, numMissing);
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
    this.#blocks.release(sequence);
    sequence.state = 'waiting';
    this.#order.insert(this.#waiting, sequence);
  }

  /** Returns the index after the last token that can be computed with the rows at hand. */
  #computableEnd(sequence: Sequence, numComputed = sequence.numComputedTokens): number {
    const end = sequence.media.firstMissing(numComputed);
    if (end === Infinity) return sequence.numTokens;
    // While the sequence waits, only full blocks in the prefix cache last, which is not for all.
    if (sequence.needsEveryRow) return 0;
    const { blockSize } = this.options;
    return Math.floor(end / blockSize) * blockSize;
  }

  #scheduleWaiting(draft: StepDraft, takesPart: (sequence: Sequence) => boolean): void {
    const startable = draft.budget > 0 ? [...this.#startable()] : [];
    const candidates = new Set(startable.filter(takesPart));
    while (draft.budget > 0) {
      const places = this.#placesIfFull();
      const sequence = this.#order.next(
        places === null ? candidates : [...candidates].filter((one) => places.cededTo(one)),
      );
      if (sequence === undefined) return;
      candidates.delete(sequence);
      const cached = this.#blocks.cachedPrefix(sequence);
      if (this.#waitsForRows(sequence, cached.length)) {
        sequence.stall();
        continue;
      }
      const ceding = places?.cededTo(sequence);
      if (ceding !== undefined) this.#preempt(ceding, draft);
      if (!this.#makeRoom(sequence, cached, draft)) {
        // Others do not overtake it until it fits.
        sequence.isDue = true;
        return;
      }
      this.#blocks.allocate(sequence, cached);
      this.#countCached(sequence);
      this.#start(sequence, draft);
    }
  }

  /** Lets sequences that decode verify drafted tokens, as far as the budget and free blocks go. */
  #speculate(draft: StepDraft): void {
    if (this.#speculation?.isWorthwhile(this.#running.length) !== true) return;
    const { blockSize } = this.options;
    for (const sequence of draft.decoding) {
      const { blockTable, numTokens } = sequence;
      const room = (blockTable.length + this.pool.numFree) * blockSize - numTokens;
      const draftIds = this.#speculation.draft(sequence, Math.min(draft.budget, room));
      if (draftIds.length === 0) continue;
      const numMissing = this.#blocks.numMissing(sequence, numTokens + draftIds.length);
      this.#blocks.take(sequence, numMissing);
      draft.speculate(sequence, draftIds);
    }
  }

  #start(sequence: Sequence, draft: StepDraft): void {
    removeFrom(this.#waiting, sequence);
    sequence.state = 'running';
    this.#order.insert(this.#running, sequence);
    const numTokens = this.#computableEnd(sequence) - sequence.numComputedTokens;
    // What preemption makes the engine compute again is not the client's doing.
    const isComputedAgain = sequence.isDue || sequence.hasPrefilled;
    if (!isComputedAgain) this.#shares.charge(sequence.ticket.client, numTokens);
    this.#plan(sequence, draft, Infinity);
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

  /**
   * Lets sequences cede their places for as many blocks as a waiting one lacks, whose start is cached;
   * false, and none does, if it would still not fit.
   */
  #makeRoom(sequence: Sequence, cached: readonly number[], draft: StepDraft): boolean {
    let numLacking = this.#blocks.numLacking(sequence, cached);
    if (numLacking === 0) return true;
    if (this.numClients === 1) return false;
    const staying = [...this.#running];
    const ceding: Sequence[] = [];
    while (numLacking > 0) {
      const next = new RunningPlaces(staying).cededTo(sequence);
      if (next === undefined) return false;
      removeFrom(staying, next);
      ceding.push(next);
      numLacking -= this.#blocks.numFreedBy(next, cached);
    }
    for (const one of ceding) this.#preempt(one, draft);
    return true;
  }

  #countCached(sequence: Sequence): void {
    if (sequence.numCachedTokens !== null) return;
    sequence.numCachedTokens = Math.min(sequence.numComputedTokens, sequence.numPromptTokens);
    this.counts.numPrefixQueryTokens += sequence.numPromptTokens;
    this.counts.numPrefixHitTokens += sequence.numCachedTokens;
  }

  #commitTokens({ sequence, numTokens, scoredRows }: ScheduledChunk): void {
    this.#blocks.computed(sequence, numTokens);
    sequence.media.dropBefore(sequence.numComputedTokens);
    sequence.numScoredRows = Math.max(sequence.numScoredRows, scoredRows.end);
    if (sequence.numUncomputedTokens === 0) sequence.hasPrefilled = true;
  }
}

/** Tells whether nothing but room keeps a waiting sequence from running. */
function mayStart({ leader, isStalled, ticket }: Sequence): boolean {
  const isBehindLeader = leader !== null && leader.state !== 'finished' && !leader.hasPrefilled;
  return !isBehindLeader && !isStalled && !ticket.displaced.aborted;
}
