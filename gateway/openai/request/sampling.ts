import { type Static, Type } from 'typebox';
import { MeshError } from '#mesh/errors.ts';
import {
  COUNT_FIELDS,
  LOGIT_BIAS_RANGE,
  SAMPLING_FIELDS,
  UINT32_MAX,
  valuesByKey,
  valuesByName,
} from '#mesh/sampling-fields.ts';
import type { SamplingParams } from '#protos/autoglm/llm/v1/sampling.ts';
import { flagField, listField, samplingField, tokenId } from './fields.ts';
import { seedField, seedOf } from './seed.ts';

/** Largest count, a uint32 on the wire. */
export const MAX_COUNT = UINT32_MAX;
const MAX_STOP_STRINGS = 16;

const filledText = Type.String({ minLength: 1 });

/** Sampling fields that chat and text completions share, as OpenAI and vLLM name them. */
export const samplingFields = {
  ...valuesByName(SAMPLING_FIELDS, samplingField),
  logit_bias: Type.Optional(
    Type.Record(
      Type.String({ pattern: '^[0-9]{1,9}$' }),
      Type.Number({
        minimum: LOGIT_BIAS_RANGE.min,
        maximum: LOGIT_BIAS_RANGE.max,
      }),
      {
        additionalProperties: false,
        description: `an object of token ids with numbers from ${LOGIT_BIAS_RANGE.min} to ${LOGIT_BIAS_RANGE.max}`,
      },
    ),
  ),
  seed: seedField(),
  allowed_token_ids: listField(tokenId, 'a list of at least one token id', 1),
  bad_words: listField(filledText, 'a list of texts that are not empty'),
  min_tokens: samplingField(COUNT_FIELDS.minTokens),
  stop: Type.Optional(
    Type.Union([filledText, Type.Array(filledText, { maxItems: MAX_STOP_STRINGS })], {
      description: `a text or a list of at most ${MAX_STOP_STRINGS} texts, none of them empty`,
    }),
  ),
  stop_token_ids: listField(tokenId, 'a list of token ids'),
  ignore_eos: flagField(),
  n: samplingField(COUNT_FIELDS.numChoices),
  thinking_token_budget: Type.Optional(
    Type.Integer({
      minimum: -1,
      maximum: MAX_COUNT,
      description: `an integer from 0 to ${MAX_COUNT}, or -1 for no bound`,
    }),
  ),
} as const;

export type SamplingRequest = Static<ReturnType<typeof Type.Object<typeof samplingFields>>>;

/** Numbers for which each API has its own fields. */
export interface SamplingBounds {
  readonly maxTokens: number | undefined;
  /** Most tokens of thoughts; undefined for no bound. */
  readonly thinkingTokenBudget: number | undefined;
}

/** Translates the shared fields. */
export function samplingParams(
  request: SamplingRequest,
  { maxTokens, thinkingTokenBudget }: SamplingBounds,
): SamplingParams {
  if (maxTokens !== undefined && (request.min_tokens ?? 0) > maxTokens) {
    const message = `min_tokens must be at most max_tokens (${maxTokens}), got ${request.min_tokens}`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'min_tokens' });
  }
  const stop = request.stop ?? [];
  return {
    logitBias: request.logit_bias ?? {},
    seed: seedOf(request.seed),
    allowedTokenIds: request.allowed_token_ids ?? [],
    badWords: request.bad_words ?? [],
    maxTokens,
    minTokens: request.min_tokens,
    stopStrings: typeof stop === 'string' ? [stop] : stop,
    stopTokenIds: request.stop_token_ids ?? [],
    ignoreEos: request.ignore_eos ?? false,
    numChoices: request.n,
    thinkingTokenBudget,
    ...valuesByKey(SAMPLING_FIELDS, ({ name }) => request[name]),
  };
}
