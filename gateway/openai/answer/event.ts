import {
  type ChoiceFinish,
  FinishReason,
  type GenerateResponse,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';

/** One event of a generation, as in the protocol. */
export type AnswerEvent = NonNullable<GenerateResponse['event']>;

/** Returns OpenAI's `finish_reason` of a choice. */
export function finishReason({ reason }: ChoiceFinish): 'stop' | 'length' | 'tool_calls' {
  switch (reason) {
    case FinishReason.FINISH_REASON_LENGTH:
      return 'length';
    case FinishReason.FINISH_REASON_TOOL_CALLS:
      return 'tool_calls';
    default:
      return 'stop';
  }
}

/**
 * Returns vLLM's `stop_reason`: the stop string or id that ended the choice, null for the model's
 * own end.
 */
export function stopReason(finish: ChoiceFinish): string | number | null {
  return finish.stop?.value ?? null;
}
