import { randomUUID } from 'node:crypto';
import type { UsageMeter } from '#gateway/openai/answer/usage.ts';
import { type ChoiceFinish, FinishReason } from '#protos/autoglm/llm/v1/llm_backbone.ts';

/** Returns why a message ended; nulls while it has not. */
export function messageStop(finish?: ChoiceFinish) {
  const stop = { stop_reason: null, stop_sequence: null, stop_details: null, container: null };
  if (finish === undefined) return stop;
  if (finish.reason === FinishReason.FINISH_REASON_LENGTH) {
    return { ...stop, stop_reason: 'max_tokens' };
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

/** A text or thoughts of a message, as a block. */
export function contentBlock(kind: BlockKind, text: string) {
  return kind === 'thinking'
    ? { type: kind, thinking: text, signature: '' }
    : { type: kind, text, citations: null };
}

export type BlockKind = 'text' | 'thinking';
