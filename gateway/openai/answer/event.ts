import {
  type ChoiceFinish,
  FinishReason,
  type GenerateResponse,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';

/** One event of a generation, as in the protocol. */
export type AnswerEvent = NonNullable<GenerateResponse['event']>;

/** Returns OpenAI's `finish_reason` of a choice. */
export function finishReason(finish: ChoiceFinish): 'stop' | 'length' {
  return finish.reason === FinishReason.FINISH_REASON_LENGTH ? 'length' : 'stop';
}

/**
 * Returns vLLM's `stop_reason`: the stop string or id that ended the choice, null for the model's
 * own end.
 */
export function stopReason(finish: ChoiceFinish): string | number | null {
  return finish.stop?.value ?? null;
}
