import {
  Channel,
  type ChoiceDelta,
  type ChoiceFinish,
  FinishReason,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { ChoiceEnd, TextPiece } from './output-stage.ts';

/** Makes one entry per piece of text; the first one holds the tokens. */
export function choiceDeltas(
  index: number,
  pieces: readonly TextPiece[],
  tokens: Pick<ChoiceDelta, 'tokenIds' | 'logprobs'>,
): ChoiceDelta[] {
  const shown: readonly TextPiece[] =
    pieces.length > 0 ? pieces : [{ channel: 'content', text: '' }];
  return shown.map(({ channel, text }, i) => ({
    index,
    text,
    channel: channel === 'reasoning' ? Channel.CHANNEL_REASONING : Channel.CHANNEL_CONTENT,
    tokenIds: i === 0 ? tokens.tokenIds : [],
    logprobs: i === 0 ? tokens.logprobs : [],
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
