import { randomUUID } from 'node:crypto';
import type { AnsweredCall } from '#gateway/openai/answer/tool-call.ts';
import type { UsageMeter } from '#gateway/openai/answer/usage.ts';
import { isRecord } from '#mesh/json-value.ts';
import { type ChoiceFinish, FinishReason } from '#protos/autoglm/llm/v1/llm_backbone.ts';

/** Returns why a message ended; nulls while it has not. */
export function messageStop(finish?: ChoiceFinish) {
  const stop = { stop_reason: null, stop_sequence: null, stop_details: null, container: null };
  if (finish === undefined) return stop;
  switch (finish.reason) {
    case FinishReason.FINISH_REASON_LENGTH:
      return { ...stop, stop_reason: 'max_tokens' };
    case FinishReason.FINISH_REASON_TOOL_CALLS:
      return { ...stop, stop_reason: 'tool_use' };
    default:
      break;
  }
  if (finish.stop?.$case !== 'stopString') return { ...stop, stop_reason: 'end_turn' };
  return { ...stop, stop_reason: 'stop_sequence', stop_sequence: finish.stop.value };
}

/** Returns the usage so far; tokens that were found in the cache do not count as input. */
export function messageUsage(meter: UsageMeter) {
  return {
    input_tokens: meter.numPrompt - meter.numCached,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: meter.numCached,
    output_tokens: meter.numCompletion,
    output_tokens_details: { thinking_tokens: meter.numReasoning },
  };
}

/** Returns what a message begins with. */
export function messageHead(model: string) {
  return {
    id: `msg_${randomUUID().replaceAll('-', '')}`,
    type: 'message',
    role: 'assistant',
    model,
  } as const;
}

/** A call of a tool, as a block. */
export function toolBlock(id: string, name: string, input: unknown) {
  return { type: 'tool_use', id, name, input };
}

/** Returns the blocks of whole calls; one that the end of the answer has cut is left out. */
export function toolBlocks(calls: readonly AnsweredCall[]) {
  return calls.flatMap(({ id, function: { name, arguments: json } }) => {
    const input = objectIn(json);
    return input === undefined ? [] : [toolBlock(id, name, input)];
  });
}

function objectIn(json: string): object | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A text or thoughts of a message, as a block. */
export function contentBlock(kind: BlockKind, text: string) {
  return kind === 'thinking'
    ? { type: kind, thinking: text, signature: '' }
    : { type: kind, text, citations: null };
}

export type BlockKind = 'text' | 'thinking';
