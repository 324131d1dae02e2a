import type { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import { type EndRules, endAfter, type SequenceEnd } from '#backbone/engine/sequence.ts';
import { Detokenizer } from './detokenizer.ts';
import { endsInReasoning, ReasoningCounter, type ReasoningTags } from './reasoning-counter.ts';
import {
  ReasoningSplitter,
  type TextPiece,
  THINK_CLOSE,
  THINK_OPEN,
} from './reasoning-splitter.ts';
import { StopMatcher } from './stop-matcher.ts';

/** What one request wants to be done with its tokens. */
export interface OutputOptions {
  readonly endRules: EndRules;
  readonly minTokens: number;
  readonly stopStrings: readonly string[];
  readonly includeStopString: boolean;
  readonly skipSpecialTokens: boolean;
  readonly splitReasoning: boolean;
}

/** Why a choice ended. */
export type ChoiceEnd = SequenceEnd | { readonly reason: 'stop'; readonly stopString: string };

/**
 * Turns the tokens of one choice into text: detokenizer, stop strings, reasoning. The text so far
 * depends on the token ids so far and on nothing else, so a resume replays the delivered ids and
 * drops what comes out.
 */
export class ChoiceOutput {
  readonly #options: OutputOptions;
  readonly #detokenizer: Detokenizer;
  readonly #stopMatcher: StopMatcher;
  /** Null: all text is content, as the model wrote it. */
  readonly #splitter: ReasoningSplitter | null;
  readonly #counter: ReasoningCounter;
  #numTokens = 0;
  #end: ChoiceEnd | null = null;

  constructor(options: OutputOptions, vocabulary: Vocabulary, promptTokenIds: readonly number[]) {
    const tags = reasoningTags(vocabulary);
    const isOpen = endsInReasoning(promptTokenIds, tags);
    this.#options = options;
    this.#detokenizer = new Detokenizer(vocabulary, {
      skipSpecialTokens: options.skipSpecialTokens,
      // The splitter needs to see its tags even where a tokenizer calls them special.
      visibleIds: new Set(options.splitReasoning ? [tags.open ?? -1, tags.close ?? -1] : []),
    });
    this.#stopMatcher = new StopMatcher(options.stopStrings, options);
    this.#splitter = options.splitReasoning ? new ReasoningSplitter({ isOpen }) : null;
    this.#counter = new ReasoningCounter(tags, { isOpen });
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
  push(tokenId: number): TextPiece[] {
    this.#numTokens++;
    this.#counter.push(tokenId);
    const end = endAfter(this.#options.endRules, tokenId, this.#numTokens);
    // The text of a token that stops the answer is no part of it.
    const text = end?.reason === 'stop' ? '' : this.#detokenizer.push(tokenId);
    return end === null ? this.#advance(text) : this.#finish(text, end);
  }

  /** Ends a choice that may not generate anything. */
  finishEmpty(): TextPiece[] {
    return this.#finish('', { reason: 'length' });
  }

  #finish(text: string, end: ChoiceEnd): TextPiece[] {
    const pieces = this.#advance(text + this.#detokenizer.flush());
    // The last text may have completed a stop string.
    if (this.#end !== null) return pieces;
    this.#end = end;
    return [...pieces, ...this.#split(this.#stopMatcher.flush()), ...this.#flushSplitter()];
  }

  #advance(text: string): TextPiece[] {
    // No end before minTokens: the text up to there takes no part in a match.
    if (this.#numTokens <= this.#options.minTokens) return this.#split(text);
    const match = this.#stopMatcher.push(text);
    const pieces = this.#split(match.text);
    if (match.stopString === null) return pieces;
    this.#end = { reason: 'stop', stopString: match.stopString };
    return [...pieces, ...this.#flushSplitter()];
  }

  #split(text: string): TextPiece[] {
    if (this.#splitter !== null) return this.#splitter.push(text);
    return text === '' ? [] : [{ channel: 'content', text }];
  }

  #flushSplitter(): TextPiece[] {
    return this.#splitter?.flush() ?? [];
  }
}

function reasoningTags(vocabulary: Vocabulary): ReasoningTags {
  return {
    open: vocabulary.addedId(THINK_OPEN),
    close: vocabulary.addedId(THINK_CLOSE),
    assistant: vocabulary.addedId('<|assistant|>'),
  };
}
