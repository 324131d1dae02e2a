import type { GenerateEvent } from '#gateway/routing/generate-call.ts';
import {
  Channel,
  type ChoiceFinish,
  FinishReason,
  GenerateResponse,
  type GenerateStart,
  GetModelResponse,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { languageOf, promptText } from './prompt-text.ts';
import type { Reply } from './reply.ts';
import { isLike } from './text-pattern.ts';

/** An answer that an operator has written for texts like these. */
export interface Rule {
  readonly name: string;
  /** See `isLike`; one that fits is enough. */
  readonly patterns: readonly string[];
  /** Answers by language; the rules' default language has one. */
  readonly answers: ReadonlyMap<string, string>;
}

export interface RuleSet {
  /** Language of answers for texts whose script tells none, or one that a rule does not have. */
  readonly language: string;
  /** The first that fits answers. */
  readonly rules: readonly Rule[];
}

type Start = Pick<GenerateStart, 'prompt' | 'sampling'>;

/**
 * Answers a request by rules; undefined unless every prompt of it has one. Names the first rule, and
 * counts no tokens, since none was computed.
 */
export function ruleReply(set: RuleSet, starts: readonly Start[]): Reply | undefined {
  const names: string[] = [];
  const events: GenerateEvent[][] = [];
  for (const { prompt, sampling } of starts) {
    const text = promptText(prompt);
    const rule = set.rules.find(({ patterns }) => patterns.some((one) => isLike(text, one)));
    if (rule === undefined) return undefined;
    names.push(rule.name);
    events.push(eventsOf(answerOf(rule, text, set.language), sampling?.numChoices ?? 1));
  }
  const name = `rule:${names[0]}`;
  return { name, model: GetModelResponse.fromPartial({ servedNames: [name] }), events };
}

function answerOf({ answers }: Rule, text: string, language: string): string {
  const spoken = languageOf(text) ?? language;
  return answers.get(spoken) ?? answers.get(language) ?? '';
}

/** Returns the events of a generation that says a text in every choice. */
function eventsOf(text: string, numChoices: number): GenerateEvent[] {
  const finishes = Array.from({ length: numChoices }, (_, index): ChoiceFinish => {
    return { index, reason: FinishReason.FINISH_REASON_STOP, stop: undefined };
  });
  const choices = finishes.map((finish) => {
    return { index: finish.index, text, channel: Channel.CHANNEL_CONTENT, finish };
  });
  const responses = [
    GenerateResponse.fromPartial({ event: { $case: 'accepted', value: {} } }),
    GenerateResponse.fromPartial({ event: { $case: 'delta', value: { choices } } }),
    GenerateResponse.fromPartial({ event: { $case: 'finished', value: { choices: finishes } } }),
  ];
  return responses.flatMap(({ event }) => event ?? []);
}
