import { type Static, Type } from 'typebox';
import type { AnswerForm, ReasoningForm, StreamUsage } from '#gateway/openai/answer/answer-form.ts';
import { MeshError } from '#mesh/errors.ts';
import type { OutputOptions } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { flagField, integerField } from './fields.ts';
import { servingFields } from './serving-fields.ts';

/** Most alternatives that a token's log-probabilities may list. */
export const MAX_LOGPROBS = 20;

/** Field with the number of tokens that a prompt keeps, the last ones. */
export const truncationField = Type.Optional(
  Type.Union([Type.Literal(-1), Type.Integer({ minimum: 1, maximum: 2_147_483_647 })], {
    description: 'an integer from 1, or -1 for as many as the model can take',
  }),
);

/** Fields of chat and text completions that say how to answer, not what to sample. */
export const answerFields = {
  ...servingFields,
  stream: flagField(),
  stream_options: Type.Optional(
    Type.Object(
      {
        include_usage: Type.Optional(
          Type.Union([Type.Boolean(), Type.Null()], { description: 'true or false' }),
        ),
        continuous_usage_stats: Type.Optional(
          Type.Union([Type.Boolean(), Type.Null()], { description: 'true or false' }),
        ),
      },
      { description: 'an object with include_usage and continuous_usage_stats' },
    ),
  ),
  prompt_logprobs: integerField({ min: 0, max: MAX_LOGPROBS }),
  skip_special_tokens: flagField(),
  include_stop_str_in_output: flagField(),
  return_token_ids: flagField(),
  return_tokens_as_token_ids: flagField(),
  echo: flagField(),
  truncate_prompt_tokens: truncationField,
} as const;

export type AnswerRequest = Static<ReturnType<typeof Type.Object<typeof answerFields>>>;

/** Refuses fields that cannot be combined with `stream` or its absence. */
export function checkStreaming(request: AnswerRequest): void {
  if (request.stream_options !== undefined && request.stream !== true) {
    throw new MeshError('INVALID_REQUEST', 'stream_options is only allowed with stream: true', {
      param: 'stream_options',
    });
  }
  if (request.prompt_logprobs !== undefined && request.stream === true) {
    throw new MeshError('INVALID_REQUEST', 'prompt_logprobs is not available with stream: true', {
      param: 'prompt_logprobs',
    });
  }
}

/** Continuous counts are a part of the usage: without it there are none, as in vLLM. */
function streamUsage({ stream_options: options }: AnswerRequest): StreamUsage {
  const isContinuous = options?.continuous_usage_stats ?? false;
  const isFinal = options?.include_usage ?? isContinuous;
  return { isFinal, isContinuous: isFinal && isContinuous };
}

/** Wishes that chat and text completions express in different fields. */
export interface AnswerWish {
  /** Number of alternatives per sampled token; undefined for no log-probabilities. */
  readonly numLogprobs: number | undefined;
  readonly reasoning: ReasoningForm;
}

/** Returns the form of the answer; token ids, which would give hidden thoughts away, are left out. */
export function answerForm(
  request: AnswerRequest & { readonly n?: number },
  { numLogprobs, reasoning }: AnswerWish,
): AnswerForm {
  return {
    numChoices: request.n ?? 1,
    numLogprobs,
    hasPromptLogprobs: request.prompt_logprobs !== undefined,
    tokensAsIds: request.return_tokens_as_token_ids ?? false,
    returnsTokenIds: reasoning !== 'hidden' && (request.return_token_ids ?? false),
    reasoning,
    streamUsage: streamUsage(request),
  };
}

export function outputOptions(
  request: AnswerRequest,
  { numLogprobs, reasoning }: AnswerWish,
): OutputOptions {
  return {
    numLogprobs,
    numPromptLogprobs: request.prompt_logprobs,
    skipSpecialTokens: request.skip_special_tokens,
    includeStopString: request.include_stop_str_in_output ?? false,
    splitReasoning: reasoning !== 'inline',
    returnPromptTokenIds: request.return_token_ids ?? false,
  };
}
