import {
  Channel,
  type ChoiceDelta,
  type ChoiceFinish,
  FinishReason,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { ChoiceEnd, OutputPiece } from './output-stage.ts';

/** What a step added to a choice besides text. */
export interface StepFacts extends Pick<ChoiceDelta, 'tokenIds' | 'logprobs' | 'finish'> {}

/** How a choice has ended, as far as it has. */
interface ChoiceState {
  readonly end: ChoiceEnd | null;
  /** Tells whether the choice has called a tool. */
  readonly hasCalls: boolean;
}

const CHANNELS = {
  content: Channel.CHANNEL_CONTENT,
  reasoning: Channel.CHANNEL_REASONING,
  tool_call: Channel.CHANNEL_TOOL_CALL,
} as const satisfies Record<OutputPiece['channel'], Channel>;

/**
 * Makes one entry per piece of text; the first one holds the tokens, the last one how the choice
 * ended.
 */
export function choiceDeltas(
  index: number,
  pieces: readonly OutputPiece[],
  { tokenIds, logprobs, finish }: StepFacts,
): ChoiceDelta[] {
  const shown: readonly OutputPiece[] =
    pieces.length > 0 ? pieces : [{ channel: 'content', text: '' }];
  return shown.map((piece, i) => ({
    index,
    text: piece.text,
    channel: CHANNELS[piece.channel],
    tokenIds: i === 0 ? tokenIds : [],
    logprobs: i === 0 ? logprobs : [],
    finish: i === shown.length - 1 ? finish : undefined,
    toolCall: piece.channel === 'tool_call' ? piece.call : undefined,
  }));
}

/** Returns why a choice ended, in the proto's terms. */
export function choiceFinish(index: number, { end, hasCalls }: ChoiceState): ChoiceFinish {
  const { FINISH_REASON_STOP: stop, FINISH_REASON_TOOL_CALLS: toolCalls } = FinishReason;
  const finish = { index, reason: hasCalls ? toolCalls : stop, stop: undefined };
  if (end === null || end.reason === 'length') {
    return { ...finish, reason: FinishReason.FINISH_REASON_LENGTH };
  }
  if ('stopString' in end) {
    return { ...finish, stop: { $case: 'stopString', value: end.stopString } };
  }
  if (end.stopTokenId === undefined) return finish;
  return { ...finish, stop: { $case: 'stopTokenId', value: end.stopTokenId } };
}
