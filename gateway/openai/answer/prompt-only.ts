import { FinishReason } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { AnswerEvent } from './event.ts';

/**
 * Returns the part of an event that an answer needs if it only repeats its prompt; undefined if
 * none.
 */
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
