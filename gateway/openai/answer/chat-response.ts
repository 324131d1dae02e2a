import { type Answer, type AnswerChoice, finishOf } from './answer.ts';
import type { AnswerForm } from './answer-form.ts';
import type { Envelope } from './envelope.ts';
import { finishReason, stopReason } from './event.ts';
import { chatLogprobs, promptLogprobs } from './logprobs.ts';
import { totalUsage } from './usage.ts';

/** Writes a whole chat completion. */
export function chatResponse(
  answer: Answer,
  { envelope, form, echoText }: ChatResponseOptions,
): Record<string, unknown> {
  const { id, ...rest } = envelope;
  return {
    id,
    object: 'chat.completion',
    ...rest,
    choices: answer.choices.map((choice, index) => chatChoice(choice, { index, form, echoText })),
    service_tier: null,
    usage: totalUsage([answer.usage]),
    prompt_logprobs:
      form.hasPromptLogprobs && answer.promptLogprobs !== undefined
        ? promptLogprobs(answer.promptLogprobs)
        : null,
    prompt_token_ids: form.returnsTokenIds ? (answer.accepted?.promptTokenIds ?? []) : null,
    kv_transfer_params: null,
  };
}

export interface ChatResponseOptions {
  readonly envelope: Envelope;
  readonly form: AnswerForm;
  readonly echoText: string;
}

function chatChoice(
  choice: AnswerChoice,
  { index, form, echoText }: Omit<ChatResponseOptions, 'envelope'> & { readonly index: number },
) {
  const finish = finishOf(choice);
  const isShown = form.reasoning === 'apart' && choice.reasoning !== '';
  const content = echoText + choice.content;
  const reasoning = isShown ? choice.reasoning : null;
  return {
    index,
    message: {
      role: 'assistant',
      content: choice.toolCalls.length > 0 && content === '' ? null : content,
      refusal: null,
      annotations: null,
      audio: null,
      function_call: null,
      reasoning_content: reasoning,
      reasoning,
      ...(choice.toolCalls.length > 0 ? { tool_calls: choice.toolCalls } : {}),
    },
    logprobs:
      form.numLogprobs === undefined
        ? null
        : { content: chatLogprobs(choice.logprobs, form.tokensAsIds) },
    finish_reason: finishReason(finish),
    stop_reason: stopReason(finish),
    token_ids: form.returnsTokenIds ? choice.tokenIds : null,
  };
}
