import { FinishReason } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { AnswerEvent } from './event.ts';

/** What is left of an event if an answer repeats its prompt only; undefined: nothing. */
export function promptOnly(event: AnswerEvent): AnswerEvent | undefined {
  switch (event.$case) {
    case 'delta':
      return undefined;
    case 'finished':
      return withoutCompletion(event);
    default:
      return event;
  }
}

function withoutCompletion(event: Extract<AnswerEvent, { $case: 'finished' }>): AnswerEvent {
  const choices = event.value.choices.map(({ index }) => ({
    index,
    reason: FinishReason.FINISH_REASON_LENGTH,
    stop: undefined,
  }));
  const value = { ...event.value, choices, numCompletionTokens: 0, numReasoningTokens: 0 };
  return { $case: 'finished', value };
}
