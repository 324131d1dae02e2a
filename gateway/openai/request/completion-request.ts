import { Type } from 'typebox';
import type { AnswerForm } from '#gateway/openai/answer/answer-form.ts';
import { COMPLETION_USES } from '#gateway/openai/fields/request-uses.ts';
import { MeshError } from '#mesh/errors.ts';
import type { OutputOptions } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import {
  answerFields,
  answerForm,
  checkStreaming,
  MAX_LOGPROBS,
  outputOptions,
} from './answer-fields.ts';
import { openBody } from './body.ts';
import { compileCheck } from './check.ts';
import { flagField, integerField } from './fields.ts';
import { checkRepeatedLists } from './repeated-lists.ts';
import type { RequestedStart } from './requested-start.ts';
import { MAX_COUNT, samplingFields, samplingParams } from './sampling.ts';
import { type RequestNames, requestNames, servingParams } from './serving-fields.ts';
import { requestedForm, structuredFields } from './structured-output.ts';
import { textPrompts } from './text-prompts.ts';

/** Most prompts of one request. */
const MAX_PROMPTS = 256;

/** Checks the body of `POST /v1/completions`. */
export const checkCompletion = compileCheck(
  Type.Object({
    ...samplingFields,
    ...structuredFields,
    ...answerFields,
    prompt: Type.Unknown({ description: 'a text, a list of token ids, or a list of either' }),
    max_tokens: integerField({ min: 0, max: MAX_COUNT }),
    logprobs: integerField({ min: 0, max: MAX_LOGPROBS }),
    add_special_tokens: flagField(),
  }),
  COMPLETION_USES,
);

/** A text completion request, translated: one generation per prompt. */
export interface CompletionRequest extends RequestNames {
  readonly isStream: boolean;
  readonly starts: readonly RequestedStart[];
  readonly form: AnswerForm;
  /** The client's name for the form that an answer must have; undefined if there is none. */
  readonly formField: string | undefined;
  /** True to repeat the prompt before each choice. */
  readonly echoes: boolean;
  /** True for `max_tokens: 0` with `echo`, which asks for the prompt only. */
  readonly isPromptOnly: boolean;
}

export function parseCompletionRequest(json: unknown): CompletionRequest {
  const body = openBody(json);
  const { request, unknownFields } = checkCompletion(body);
  checkStreaming(request);
  const echoes = request.echo ?? false;
  const isPromptOnly = echoes && request.max_tokens === 0;
  // The mesh generates at least one token; a prompt-only answer omits it.
  const { thinking_token_budget: budget = -1 } = request;
  const sampling = samplingParams(request, {
    maxTokens: isPromptOnly ? 1 : positive(request.max_tokens),
    thinkingTokenBudget: budget === -1 ? undefined : budget,
  });
  const wish = { numLogprobs: request.logprobs, reasoning: 'inline' as const };
  const output = outputOptions(request, wish);
  const prompts = textPrompts(request.prompt, request.add_special_tokens ?? true, {
    field: 'prompt',
    maxPrompts: MAX_PROMPTS,
  });
  const { structuredOutput, formField } = requestedForm(request);
  checkRepeatedLists({ sampling, structuredOutput }, prompts.length);
  return {
    unknownFields,
    isStream: request.stream ?? false,
    ...requestNames(request),
    starts: prompts.map((form) => ({
      prompt: { form, media: [], maxPromptTokens: request.truncate_prompt_tokens },
      sampling,
      output: echoes ? echoOutput(output) : output,
      structuredOutput,
      ...servingParams(request),
    })),
    form: answerForm(request, wish),
    formField,
    echoes,
    isPromptOnly,
  };
}

function positive(maxTokens: number | undefined): number | undefined {
  if (maxTokens !== 0) return maxTokens;
  throw new MeshError('INVALID_REQUEST', 'max_tokens must be at least 1 (0 only with echo)', {
    param: 'max_tokens',
  });
}

/**
 * Adds the parts that an echo needs: the prompt's ids and, if the answer has log-probabilities, the
 * prompt's own.
 */
function echoOutput(output: OutputOptions): OutputOptions {
  return {
    ...output,
    returnPromptTokenIds: true,
    numPromptLogprobs: output.numPromptLogprobs ?? output.numLogprobs,
  };
}
