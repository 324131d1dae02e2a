import { checkPromptSize } from '#mesh/prompt-limits.ts';
import type { GetModelResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { Prompt } from '#protos/autoglm/llm/v1/prompt.ts';

/** Refuses what the backbone would, before media are fetched and the prompt is sent. */
export function checkPrompt(prompt: Prompt | undefined, { promptLimits }: GetModelResponse): void {
  if (promptLimits !== undefined) checkPromptSize(prompt, promptLimits);
}
