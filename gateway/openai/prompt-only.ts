import { FinishReason } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { GenerateEvent } from './event.ts';

/** Leaves what was generated out of an answer that is to repeat its prompt only. */
export async function* promptOnly(
  events: AsyncIterable<GenerateEvent>,
): AsyncGenerator<GenerateEvent> {
  for await (const event of events) {
    if (event.$case === 'delta') continue;
    yield event.$case === 'finished' ? withoutCompletion(event) : event;
  }
}

function withoutCompletion(event: Extract<GenerateEvent, { $case: 'finished' }>): GenerateEvent {
  const choices = event.value.choices.map(({ index }) => ({
    index,
    reason: FinishReason.FINISH_REASON_LENGTH,
    stop: undefined,
  }));
  const value = { ...event.value, choices, numCompletionTokens: 0, numReasoningTokens: 0 };
  return { $case: 'finished', value };
}
