import { type ClientWords, clientError } from '#gateway/openai/client-error.ts';
import { checkPromptSize } from '#mesh/prompt/prompt-limits.ts';
import type { GetModelResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { Prompt } from '#protos/autoglm/llm/v1/prompt.ts';

export interface PromptChecks extends ClientWords {
  readonly model: GetModelResponse;
}

/** Refuses a prompt that the backbone would refuse, before media are fetched and it is sent. */
export function checkPrompt(prompt: Prompt | undefined, { model, ...words }: PromptChecks): void {
  const { promptLimits, maxModelLen } = model;
  if (promptLimits === undefined) return;
  try {
    checkPromptSize(prompt, { maxModelLen, ...promptLimits });
  } catch (error: unknown) {
    throw clientError(error, words);
  }
}
