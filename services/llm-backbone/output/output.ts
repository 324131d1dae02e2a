import type { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import { type EndRules, endAfter, type SequenceEnd } from '#backbone/engine/sequence.ts';
import type { ChoiceEnd, TextPiece } from './output-stage.ts';
import { type ChoiceOptions, outputStages } from './output-stages.ts';
import { endsInReasoning, ReasoningCounter, reasoningTags } from './reasoning-counter.ts';
import { StageChain } from './stage-chain.ts';

/**
 * Turns the tokens of one choice into text and knows when it ends. The text so far depends on the
 * token ids so far and on nothing else, so a resume replays the delivered ids and drops what comes
 * out.
 */
export class ChoiceOutput {
  readonly #endRules: EndRules;
  readonly #chain: StageChain;
  readonly #counter: ReasoningCounter;
  #numTokens = 0;
  #end: ChoiceEnd | null = null;

  /** `listStages`: makes the stages; tests add their own. */
  constructor(
    options: ChoiceOptions,
    vocabulary: Vocabulary,
    promptTokenIds: readonly number[],
    listStages = outputStages,
  ) {
    const tags = reasoningTags(vocabulary);
    const startsInReasoning = endsInReasoning(promptTokenIds, tags);
    const mayStop = () => this.#numTokens > options.minTokens;
    this.#endRules = options.endRules;
    this.#chain = new StageChain(listStages({ options, vocabulary, startsInReasoning, mayStop }));
    this.#counter = new ReasoningCounter(tags, { isOpen: startsInReasoning });
  }

  /** Null while the choice goes on. */
  get end(): ChoiceEnd | null {
    return this.#end;
  }

  get numTokens(): number {
    return this.#numTokens;
  }

  get numReasoningTokens(): number {
    return this.#counter.numTokens;
  }

  /** Text that became certain with this token; with the token that ends the choice, all the rest. */
  push(tokenId: number): readonly TextPiece[] {
    this.#numTokens++;
    this.#counter.push(tokenId);
    const end = endAfter(this.#endRules, tokenId, this.#numTokens);
    // The text of a token that stops the answer is no part of it.
    const pieces = end?.reason === 'stop' ? [] : this.#chain.push(tokenId);
    if (end === null && this.#chain.end === null) return pieces;
    return [...pieces, ...this.#finish(end)];
  }

  /** Ends a choice that may not generate anything. */
  finishEmpty(): readonly TextPiece[] {
    return this.#finish({ reason: 'length' });
  }

  #finish(end: SequenceEnd | null): readonly TextPiece[] {
    const rest = this.#chain.flush();
    // The last text may have completed a stop string, which comes before any other end.
    this.#end = this.#chain.end ?? end;
    return rest;
  }
}
