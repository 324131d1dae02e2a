import type { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import { allowedIds } from '#backbone/engine/allowed-ids.ts';
import type { SamplingSettings } from '#backbone/engine/sampler-state.ts';
import type { TokenConstraint } from '#backbone/engine/token-constraint.ts';
import {
  endsInReasoning,
  ReasoningCounter,
  type ReasoningTags,
  reasoningTags,
} from '#backbone/output/reasoning-counter.ts';
import { MeshError } from '#mesh/errors.ts';
import type { CheckedSampling, SamplingFacts } from './sampling.ts';

const PARAM = 'sampling.thinking_token_budget';

type CreateConstraint = SamplingSettings['createConstraint'];

/** The facts of a request and its model that bear on the end of thoughts. */
export interface ThinkingFacts {
  readonly vocabulary: Vocabulary;
  readonly sampling: Pick<SamplingFacts, 'numLogits'>;
  readonly promptTokenIds: readonly number[];
  readonly badWords: SamplingSettings['badWords'];
}

/**
 * Adds the request's bound on thoughts to its other constraint. Throws INVALID_REQUEST if thoughts
 * cannot be ended.
 */
export function withThinkingBudget(
  createOther: CreateConstraint,
  sampling: CheckedSampling,
  { vocabulary, sampling: { numLogits }, promptTokenIds, badWords }: ThinkingFacts,
): CreateConstraint {
  const { thinkingTokenBudget: numTokens } = sampling;
  if (numTokens === undefined) return createOther;
  const tags = reasoningTags(vocabulary);
  const { close } = tags;
  if (close === undefined) throw refusal('the model has no token that ends thoughts');
  if (isForbidden(close, sampling, badWords)) {
    throw refusal('allowed_token_ids, bad_words or min_tokens forbid the token that ends thoughts');
  }
  const isOpen = endsInReasoning(promptTokenIds, tags);
  const closeOnly = allowedIds([close], numLogits);
  return () =>
    new ThinkingBudget({ numTokens, tags, isOpen, closeOnly, other: createOther?.() ?? null });
}

function isForbidden(
  close: number,
  { settings, stopTokenIds }: CheckedSampling,
  badWords: SamplingSettings['badWords'],
): boolean {
  const { allowedTokenIds, minTokens } = settings;
  if (allowedTokenIds !== null && !allowedTokenIds.includes(close)) return true;
  if (minTokens > 0 && stopTokenIds.has(close)) return true;
  return badWords.some((word) => word.at(-1) === close);
}

interface ThinkingBudgetOptions {
  /** Most tokens of thoughts. */
  readonly numTokens: number;
  readonly tags: ReasoningTags;
  /** Tells whether the prompt ends inside the thoughts. */
  readonly isOpen: boolean;
  /** Allows nothing but the token that ends the thoughts. */
  readonly closeOnly: TokenConstraint;
  /** What limits the tokens besides; null: nothing. */
  readonly other: TokenConstraint | null;
}

/**
 * Bounds the thoughts of an answer: when they have as many tokens as they may, the next token is the
 * one that ends them.
 */
class ThinkingBudget implements TokenConstraint {
  readonly #options: ThinkingBudgetOptions;
  readonly #counter: ReasoningCounter;

  constructor(options: ThinkingBudgetOptions) {
    this.#options = options;
    this.#counter = new ReasoningCounter(options.tags, { isOpen: options.isOpen });
  }

  mask(draftIds: readonly number[]): Uint32Array | undefined {
    const { closeOnly, other } = this.#options;
    return this.#isUsedUp(draftIds) ? closeOnly.mask([]) : other?.mask(draftIds);
  }

  numAllowed(draftIds: readonly number[]): number {
    const { tags, other } = this.#options;
    const firstWrong = draftIds.findIndex(
      (id, i) => id !== tags.close && this.#isUsedUp(draftIds.slice(0, i)),
    );
    const most = firstWrong === -1 ? draftIds.length : firstWrong;
    return Math.min(most, other?.numAllowed(draftIds) ?? most);
  }

  accept(tokenId: number): void {
    this.#counter.push(tokenId);
    this.#options.other?.accept(tokenId);
  }

  /** Tells whether the thoughts have to end behind a draft. */
  #isUsedUp(draftIds: readonly number[]): boolean {
    const counter = this.#counter.after(draftIds);
    return counter.isInside && counter.numTokens >= this.#options.numTokens;
  }
}

function refusal(problem: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${PARAM}: ${problem}`, { param: PARAM });
}
