import {
  Channel,
  type ChoiceDelta,
  type ChoiceFinish,
  FinishReason,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { ChoiceEnd, TextPiece } from './output-stage.ts';

/** What a step added to a choice besides text. */
export interface StepFacts extends Pick<ChoiceDelta, 'tokenIds' | 'logprobs'> {
  /** Null if the choice goes on. */
  readonly end: ChoiceEnd | null;
}

/**
 * Makes one entry per piece of text; the first one holds the tokens, the last one how the choice
 * ended.
 */
export function choiceDeltas(
  index: number,
  pieces: readonly TextPiece[],
  { tokenIds, logprobs, end }: StepFacts,
): ChoiceDelta[] {
  const shown: readonly TextPiece[] =
    pieces.length > 0 ? pieces : [{ channel: 'content', text: '' }];
  return shown.map(({ channel, text }, i) => ({
    index,
    text,
    channel: channel === 'reasoning' ? Channel.CHANNEL_REASONING : Channel.CHANNEL_CONTENT,
    tokenIds: i === 0 ? tokenIds : [],
    logprobs: i === 0 ? logprobs : [],
    finish: end !== null && i === shown.length - 1 ? choiceFinish(index, end) : undefined,
  }));
}

/** Returns why a choice ended, in the proto's terms. */
export function choiceFinish(index: number, end: ChoiceEnd | null): ChoiceFinish {
  const finish = { index, reason: FinishReason.FINISH_REASON_STOP, stop: undefined };
  if (end === null || end.reason === 'length') {
    return { ...finish, reason: FinishReason.FINISH_REASON_LENGTH };
  }
  if ('stopString' in end) {
    return { ...finish, stop: { $case: 'stopString', value: end.stopString } };
  }
  if (end.stopTokenId === undefined) return finish;
  return { ...finish, stop: { $case: 'stopTokenId', value: end.stopTokenId } };
}
