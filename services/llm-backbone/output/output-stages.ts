import type { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import type { EndRules } from '#backbone/engine/sequence.ts';
import { Detokenizer } from './detokenizer.ts';
import { InlineThoughts } from './inline-thoughts.ts';
import type { OutputStage, OutputStages } from './output-stage.ts';
import { ReasoningSplitter } from './reasoning-splitter.ts';
import { StopMatcher } from './stop-matcher.ts';
import { callStage, type ToolUse } from './tool-use.ts';

/** What one request wants to be done with its tokens. */
export interface ChoiceOptions {
  readonly endRules: EndRules;
  readonly minTokens: number;
  readonly stopStrings: readonly string[];
  readonly includeStopString: boolean;
  readonly skipSpecialTokens: boolean;
  readonly splitReasoning: boolean;
  /** Null if no text is read as a call. */
  readonly tools: ToolUse | null;
}

/** The facts from which the stages of one choice are made. */
export interface StageContext {
  readonly options: ChoiceOptions;
  readonly vocabulary: Vocabulary;
  /** Tells whether the prompt ends inside the thoughts. */
  readonly startsInReasoning: boolean;
  /** Tells whether text may end the choice; false until more than `minTokens` tokens have come. */
  readonly mayStop: () => boolean;
}

/** Makes the stages of a choice, in order. This is the only place to add a stage. */
export function outputStages({
  options,
  vocabulary,
  startsInReasoning,
  mayStop,
}: StageContext): OutputStages {
  const { stopStrings, includeStopString, skipSpecialTokens, splitReasoning, tools } = options;
  const textStages: OutputStage[] = [];
  if (stopStrings.length > 0) {
    textStages.push(new StopMatcher(stopStrings, { includeStopString, mayStop }));
  }
  if (splitReasoning || tools !== null) {
    const isOpen = startsInReasoning;
    textStages.push(new ReasoningSplitter({ isOpen, keepsTags: !splitReasoning }));
  }
  if (tools !== null) {
    textStages.push(callStage(tools));
    if (!splitReasoning) textStages.push(new InlineThoughts());
  }
  const tags = textStages.flatMap((stage) => stage.tags ?? []);
  const visibleIds = new Set(tags.map((tag) => vocabulary.addedId(tag) ?? -1));
  return [new Detokenizer(vocabulary, { skipSpecialTokens, visibleIds }), ...textStages];
}
