import { type Answer, finishOf } from '#gateway/openai/answer/answer.ts';
import type { ReasoningForm } from '#gateway/openai/answer/answer-form.ts';
import { MeshError } from '#mesh/errors.ts';
import {
  contentBlock,
  messageHead,
  messageStop,
  messageUsage,
  toolBlocks,
} from './message-parts.ts';

/** How a message is written. */
export interface MessageForm {
  /** Name of the model as the client wrote it. */
  readonly model: string;
  readonly reasoning: ReasoningForm;
}

/** Writes a whole message. */
export function messageResponse(
  answer: Answer,
  { model, reasoning }: MessageForm,
): Record<string, unknown> {
  const [choice] = answer.choices;
  if (choice === undefined) throw new MeshError('ENGINE_FAILED', 'the answer has no choice');
  const thoughts = reasoning === 'hidden' ? '' : choice.reasoning;
  return {
    ...messageHead(model),
    content: [
      ...(thoughts === '' ? [] : [contentBlock('thinking', thoughts)]),
      ...(choice.content === '' ? [] : [contentBlock('text', choice.content)]),
      ...toolBlocks(choice.toolCalls),
    ],
    ...messageStop(finishOf(choice)),
    usage: messageUsage(answer.usage),
  };
}
