import type { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import { type EndRules, endAfter, type SequenceEnd } from '#backbone/engine/sequence.ts';
import type { ChoiceEnd, OutputPiece } from './output-stage.ts';
import { type ChoiceOptions, outputStages } from './output-stages.ts';
import { endsInReasoning, ReasoningCounter, reasoningTags } from './reasoning-counter.ts';
import { StageChain } from './stage-chain.ts';

/**
 * Turns the tokens of one choice into text and knows when it ends. The text depends only on the
 * token ids, so a resume replays the delivered ids and drops their text.
 */
export class ChoiceOutput {
  readonly #endRules: EndRules;
  /** True if the text of a token that stops the answer is a part of the answer. */
  readonly #includesStop: boolean;
  readonly #chain: StageChain;
  readonly #counter: ReasoningCounter;
  #numTokens = 0;
  #end: ChoiceEnd | null = null;
  #hasCalls = false;

  /** `listStages` makes the stages; tests add their own. */
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
    this.#includesStop = options.includeStopString;
    this.#chain = new StageChain(listStages({ options, vocabulary, startsInReasoning, mayStop }));
    this.#counter = new ReasoningCounter(tags, { isOpen: startsInReasoning });
  }

  /** How the choice ended; null while it goes on. */
  get end(): ChoiceEnd | null {
    return this.#end;
  }

  /** Tells whether the choice has called a tool. */
  get hasCalls(): boolean {
    return this.#hasCalls;
  }

  get numTokens(): number {
    return this.#numTokens;
  }

  get numReasoningTokens(): number {
    return this.#counter.numTokens;
  }

  /**
   * Returns the text that became certain with this token; the token that ends the choice brings the
   * rest.
   */
  push(tokenId: number): readonly OutputPiece[] {
    this.#numTokens++;
    this.#counter.push(tokenId);
    const end = endAfter(this.#endRules, tokenId, this.#numTokens);
    const isShown = end?.reason !== 'stop' || this.#includesStop;
    const pieces = isShown ? this.#chain.push(tokenId) : [];
    const isOver = end !== null || this.#chain.end !== null;
    const all = isOver ? [...pieces, ...this.#finish(end)] : pieces;
    for (const { channel } of all) this.#hasCalls ||= channel === 'tool_call';
    return all;
  }

  /** Ends a choice that must not generate any token. */
  finishEmpty(): readonly OutputPiece[] {
    return this.#finish({ reason: 'length' });
  }

  #finish(end: SequenceEnd | null): readonly OutputPiece[] {
    const rest = this.#chain.flush();
    // The last text may have completed a stop string; that end wins over any other.
    this.#end = this.#chain.end ?? end;
    return rest;
  }
}
