import type { Static, Type } from 'typebox';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import { flagField, objectField } from './fields.ts';
import { thinkingFields, thinkingSwitch } from './thinking.ts';

/** Most values of `chat_template_kwargs`, each of which has to be translated for the template. */
const MAX_ARG_VALUES = 10_000;

/** Fields that reach the chat template, the same for completions and `/tokenize`. */
export const templateFields = {
  add_generation_prompt: flagField(),
  continue_final_message: flagField(),
  chat_template_kwargs: objectField('an object of template arguments'),
  ...thinkingFields,
} as const;

export type TemplateRequest = Static<ReturnType<typeof Type.Object<typeof templateFields>>>;

export interface TemplateOptions {
  readonly addGenerationPrompt: boolean;
  readonly continueFinalMessage: boolean;
  readonly templateArgs: Record<string, unknown>;
}

export function templateOptions(request: TemplateRequest): TemplateOptions {
  const continueFinalMessage = request.continue_final_message ?? false;
  if (continueFinalMessage && request.add_generation_prompt === true) {
    const message = 'add_generation_prompt cannot be true together with continue_final_message';
    throw new MeshError('INVALID_REQUEST', message, { param: 'add_generation_prompt' });
  }
  return {
    addGenerationPrompt: request.add_generation_prompt ?? !continueFinalMessage,
    continueFinalMessage,
    templateArgs: templateArgs(request),
  };
}

/** Returns the client's arguments, and among them whether the model is to think. */
function templateArgs(request: TemplateRequest): Record<string, unknown> {
  checkNumValues(request.chat_template_kwargs);
  const args = { ...request.chat_template_kwargs };
  const enableThinking = thinkingSwitch(request, args);
  if (enableThinking !== undefined) args['enable_thinking'] = enableThinking;
  const clearThinking = request.thinking?.clear_thinking ?? undefined;
  if (clearThinking !== undefined) args['clear_thinking'] ??= clearThinking;
  return args;
}

function checkNumValues(args: Record<string, unknown> | undefined): void {
  let numValues = 0;
  // The recursion is bounded because the depth of a body is.
  const count = (value: unknown): void => {
    numValues++;
    if (numValues > MAX_ARG_VALUES) throw tooManyValues();
    if (Array.isArray(value)) value.forEach(count);
    else if (isRecord(value)) for (const name in value) count(value[name]);
  };
  count(args);
}

function tooManyValues(): MeshError {
  const param = 'chat_template_kwargs';
  const message = `${param} must have at most ${MAX_ARG_VALUES} values, lists and objects within included`;
  return new MeshError('INVALID_REQUEST', message, { param });
}
