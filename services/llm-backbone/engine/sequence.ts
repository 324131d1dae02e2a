import type { PromptPooling } from '#backbone/pooling/prompt-pooling.ts';
import { blockHash, chainStart } from './block-hash.ts';
import type { PlaceholderRange } from './placeholder-range.ts';
import type { RowSource } from './row-source.ts';
import type { SamplerState } from './sampler-state.ts';
import { SequenceMedia } from './sequence-media.ts';
import type { Ticket } from './ticket.ts';

export type SequenceState = 'waiting' | 'running' | 'finished';

/** Why a sequence ended; `stopTokenId` is set only if it is not an end-of-sequence id. */
export type SequenceEnd =
  | { readonly reason: 'stop'; readonly stopTokenId?: number }
  | { readonly reason: 'length' };

/** The token ids and counts that end a sequence. */
export interface EndRules {
  /** Most completion tokens; 0 only computes the prompt. */
  readonly maxTokens: number;
  /** End-of-sequence ids of the model; empty if the request ignores them. */
  readonly eosTokenIds: ReadonlySet<number>;
  /** The request's own stop ids. */
  readonly stopTokenIds: ReadonlySet<number>;
}

/** Rotary positions of a prompt whose pictures spread over three axes. */
export interface MropePositions {
  /** `[3, num_tokens]`: rotary positions t, h, w. */
  readonly positions: Int32Array;
  /** A generated token at index n of the sequence has position `n + delta` on all axes; at most 0. */
  readonly delta: number;
}

export interface SequenceOptions {
  /** Order of arrival; unique. */
  readonly id: number;
  /** The request in the waiting queue; its sequences share it. */
  readonly ticket: Ticket;
  readonly promptTokenIds: readonly number[];
  /** Completion tokens that another instance generated before a resume. */
  readonly completionTokenIds: readonly number[];
  /** Only sequences with equal salt share blocks of the prefix cache. */
  readonly cacheSalt: string;
  readonly placeholders: readonly PlaceholderRange[];
  /** Gives the rows of the placeholders; null if there are none. */
  readonly rowSource: RowSource | null;
  /** Rotary positions of the prompt; null if each token's are its index. */
  readonly positions: MropePositions | null;
  readonly endRules: EndRules;
  /** Sampler state that has already counted `completionTokenIds`. */
  readonly sampler: SamplerState;
  /** Number of alternatives reported with each sampled token; -1 for no log-probabilities. */
  readonly numLogprobs: number;
  /** Number of alternatives reported with each prompt token; -1 for no log-probabilities. */
  readonly numPromptLogprobs: number;
  /** Takes hidden states of the prompt; null if nobody asks for them. */
  readonly pooling: PromptPooling | null;
  /** A sequence of the same prompt that prefills first, so that this one finds its blocks. */
  readonly leader: Sequence | null;
  /** Key of its prompt if that may have crashed a process; "" otherwise. */
  readonly suspectKey: string;
}

/**
 * The engine's unit of generation: one token list and one block table. The scheduler owns the
 * mutable fields; the table covers the computed tokens at all times:
 * `numComputedTokens <= blockTable.length * blockSize`.
 */
export class Sequence {
  readonly id: number;
  readonly ticket: Ticket;
  readonly numPromptTokens: number;
  readonly media: SequenceMedia;
  readonly rowSource: RowSource | null;
  readonly endRules: EndRules;
  readonly sampler: SamplerState;
  readonly numLogprobs: number;
  readonly numPromptLogprobs: number;
  readonly pooling: PromptPooling | null;
  readonly leader: Sequence | null;
  /** If not "", only sequences with the same key are with it in a step. */
  readonly suspectKey: string;
  /** Token ids of the prompt, then of the completion. */
  readonly tokenIds: number[];
  state: SequenceState = 'waiting';
  blockTable: number[] = [];
  /** Tokens whose keys and values are in the cache. */
  numComputedTokens = 0;
  /** Prompt rows whose log-probabilities have been reported; row r scores token r + 1. */
  numScoredRows = 0;
  /** Prompt tokens found in the prefix cache when first scheduled; null before that. */
  numCachedTokens: number | null = null;
  hasPrefilled = false;
  /** Tells that it comes before sequences that never had a turn: preempted, resumed or too large. */
  isDue: boolean;
  end: SequenceEnd | null = null;
  readonly #positions: MropePositions | null;
  readonly #cacheSalt: string;
  readonly #blockHashes: string[] = [];
  /** Number of items supplied when no token could be computed for lack of rows. */
  #stalledAt = -1;

  constructor(options: SequenceOptions) {
    this.id = options.id;
    this.ticket = options.ticket;
    this.numPromptTokens = options.promptTokenIds.length;
    this.media = new SequenceMedia(options.placeholders);
    this.rowSource = options.rowSource;
    this.#positions = options.positions;
    this.endRules = options.endRules;
    this.sampler = options.sampler;
    this.numLogprobs = options.numLogprobs;
    this.numPromptLogprobs = options.numPromptLogprobs;
    this.pooling = options.pooling;
    this.leader = options.leader;
    this.suspectKey = options.suspectKey;
    this.tokenIds = [...options.promptTokenIds, ...options.completionTokenIds];
    this.isDue = options.completionTokenIds.length > 0;
    this.#cacheSalt = options.cacheSalt;
  }

  get numTokens(): number {
    return this.tokenIds.length;
  }

  get numCompletionTokens(): number {
    return this.tokenIds.length - this.numPromptTokens;
  }

  get numUncomputedTokens(): number {
    return this.tokenIds.length - this.numComputedTokens;
  }

  /** Tells whether every prompt token must be computed, because the prefix cache has no such results. */
  get needsEveryRow(): boolean {
    return this.numPromptLogprobs >= 0 || this.pooling?.kind === 'mean';
  }

  /** Tells whether rows of media are missing that the uncomputed tokens need. */
  get lacksRows(): boolean {
    return this.media.firstMissing(this.numComputedTokens) !== Infinity;
  }

  /** Tells that nothing can be computed until more rows come. */
  get isStalled(): boolean {
    return this.#stalledAt === this.media.numSupplied;
  }

  /** Notes that nothing can be computed with the rows at hand. */
  stall(): void {
    this.#stalledAt = this.media.numSupplied;
  }

  /** Adds a sampled token and decides whether it ends the sequence. */
  append(tokenId: number): void {
    this.tokenIds.push(tokenId);
    this.sampler.append(tokenId);
    this.end = endAfter(this.endRules, tokenId, this.numCompletionTokens);
  }

  /** Returns the rotary position of a token on axis t, h or w (0, 1, 2). */
  rotaryPosition(token: number, axis: number): number {
    if (this.#positions === null) return token;
    const { positions, delta } = this.#positions;
    const { numPromptTokens } = this;
    if (token >= numPromptTokens) return token + delta;
    return positions[axis * numPromptTokens + token] ?? token;
  }

  /** Returns the hash of a full block; every token of it must be known. */
  blockHash(index: number, blockSize: number): string {
    for (let i = this.#blockHashes.length; i <= index; i++) {
      const previous = this.#blockHashes[i - 1] ?? chainStart(this.#cacheSalt);
      const block = { index: i, size: blockSize };
      this.#blockHashes.push(blockHash(previous, this.tokenIds, this.media.placeholders, block));
    }
    return this.#blockHashes[index] ?? '';
  }
}

/** Returns the end that a completion token brings, if any. */
export function endAfter(
  rules: EndRules,
  tokenId: number,
  numCompletionTokens: number,
): SequenceEnd | null {
  if (rules.eosTokenIds.has(tokenId)) return { reason: 'stop' };
  if (rules.stopTokenIds.has(tokenId)) return { reason: 'stop', stopTokenId: tokenId };
  return numCompletionTokens >= rules.maxTokens ? { reason: 'length' } : null;
}
