import { type Answer, type AnswerChoice, finishOf } from './answer.ts';
import type { AnswerForm } from './answer-form.ts';
import type { Echo } from './echo.ts';
import type { Envelope } from './envelope.ts';
import { finishReason, stopReason } from './event.ts';
import { CompletionLogprobsWriter, joinLists, promptLogprobs } from './logprobs.ts';
import { totalUsage } from './usage.ts';

/** One prompt's answer and the echo before it. */
export interface PromptAnswer {
  readonly answer: Answer;
  readonly echo: Echo | undefined;
}

/** Writes a whole text completion: choices in prompt order, then choice order. */
export function completionResponse(
  prompts: readonly PromptAnswer[],
  { envelope, form }: { readonly envelope: Envelope; readonly form: AnswerForm },
): Record<string, unknown> {
  const { id, ...rest } = envelope;
  return {
    id,
    object: 'text_completion',
    ...rest,
    choices: prompts.flatMap((prompt, i) =>
      prompt.answer.choices.map((choice, index) => ({
        index: i * form.numChoices + index,
        ...completionChoice(choice, { ...prompt, form }),
      })),
    ),
    service_tier: null,
    usage: totalUsage(prompts.map(({ answer }) => answer.usage)),
    kv_transfer_params: null,
  };
}

function completionChoice(
  choice: AnswerChoice,
  { answer, echo, form }: PromptAnswer & { readonly form: AnswerForm },
) {
  const finish = finishOf(choice);
  return {
    text: (echo?.text ?? '') + choice.content,
    logprobs: form.numLogprobs === undefined ? null : logprobs(choice, { answer, echo, form }),
    finish_reason: finishReason(finish),
    stop_reason: stopReason(finish),
    prompt_logprobs:
      form.hasPromptLogprobs && answer.promptLogprobs !== undefined
        ? promptLogprobs(answer.promptLogprobs)
        : null,
    token_ids: form.returnsTokenIds ? choice.tokenIds : null,
    prompt_token_ids: form.returnsTokenIds ? (answer.accepted?.promptTokenIds ?? []) : null,
  };
}

function logprobs(
  choice: AnswerChoice,
  { answer, echo, form }: PromptAnswer & { readonly form: AnswerForm },
) {
  const writer = new CompletionLogprobsWriter(form.tokensAsIds);
  if (echo?.firstToken === undefined) return writer.write(choice.logprobs);
  const prompt = writer.writePrompt(echo.firstToken, answer.promptLogprobs?.tokens ?? []);
  return joinLists(prompt, writer.write(choice.logprobs));
}
