import { NgramDrafter } from './ngram-drafter.ts';
import type { Sequence } from './sequence.ts';
import type { SpeculationOptions } from './speculation-options.ts';

/**
 * Drafts tokens that a step verifies beside the next one. A drafted token counts only if it is the
 * one that would have been sampled at its place, by the same logits and the same random number, so
 * that an answer has the same tokens with drafts as without.
 */
export class Speculation {
  readonly #options: SpeculationOptions;
  readonly #drafters = new WeakMap<Sequence, NgramDrafter>();

  constructor(options: SpeculationOptions) {
    this.#options = options;
  }

  /** Tells whether a batch of this many sequences leaves the device time for drafts. */
  isWorthwhile(numRunning: number): boolean {
    return numRunning < this.#options.maxRunning;
  }

  /** Drafts at most `maxTokens` tokens, and none that the sequence's end would cut. */
  draft(sequence: Sequence, maxTokens: number): number[] {
    const numLeft = sequence.endRules.maxTokens - sequence.numCompletionTokens;
    const drafter =
      this.#drafters.get(sequence) ?? new NgramDrafter(sequence.tokenIds, this.#options.lookup);
    this.#drafters.set(sequence, drafter);
    const draftIds = drafter.draft(Math.min(maxTokens, this.#options.numTokens, numLeft - 1));
    return draftIds.slice(0, sequence.sampler.numAllowed(draftIds));
  }
}
