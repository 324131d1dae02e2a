import { Type } from 'typebox';
import type { VectorFormat } from '#gateway/openai/answer/embedding-response.ts';
import { EMBEDDING_USES } from '#gateway/openai/fields/embedding-uses.ts';
import { MeshError } from '#mesh/errors.ts';
import { UINT32_MAX } from '#mesh/sampling-fields.ts';
import { Pooling } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { Prompt } from '#protos/autoglm/llm/v1/prompt.ts';
import { SamplingParams } from '#protos/autoglm/llm/v1/sampling.ts';
import { truncationField } from './answer-fields.ts';
import { openBody } from './body.ts';
import { compileCheck } from './check.ts';
import { flagField, integerField, literalsField, objectField } from './fields.ts';
import type { RequestedMedia } from './media-reference.ts';
import { conversation } from './messages.ts';
import type { RequestedStart } from './requested-start.ts';
import { type RequestNames, requestNames, servingFields, servingParams } from './serving-fields.ts';
import { templateFields, templateOptions } from './template-args.ts';
import { textPrompts } from './text-prompts.ts';

/** Most inputs of one request, as OpenAI's. */
const MAX_INPUTS = 2048;

const POOLINGS = { last: Pooling.POOLING_LAST, mean: Pooling.POOLING_MEAN } as const;

/** Checks the body of `POST /v1/embeddings`. */
export const checkEmbedding = compileCheck(
  Type.Object({
    ...servingFields,
    ...templateFields,
    input: Type.Optional(
      Type.Unknown({ description: 'a text, a list of token ids, or a list of either' }),
    ),
    messages: Type.Optional(
      Type.Array(Type.Unknown(), { minItems: 1, description: 'a list of at least one message' }),
    ),
    encoding_format: literalsField(['float', 'base64']),
    dimensions: integerField({ min: 1, max: UINT32_MAX }),
    pooling: literalsField(['last', 'mean']),
    normalize: flagField(),
    truncate_prompt_tokens: truncationField,
    add_special_tokens: flagField(),
    mm_processor_kwargs: objectField('an object of image preprocessing options'),
  }),
  EMBEDDING_USES,
);

type EmbeddingBody = ReturnType<typeof checkEmbedding>['request'];

/** A request for embeddings, translated: one generation without tokens for each input. */
export interface EmbeddingRequest extends RequestNames {
  readonly starts: readonly RequestedStart[];
  readonly media: RequestedMedia;
  readonly format: VectorFormat;
}

export function parseEmbeddingRequest(json: unknown): EmbeddingRequest {
  const { request, unknownFields } = checkEmbedding(openBody(json));
  const { forms, references } = inputsOf(request);
  const { dimensions, normalize, pooling = 'last' } = request;
  return {
    unknownFields,
    ...requestNames(request),
    starts: forms.map((form) => ({
      prompt: { form, media: [], maxPromptTokens: request.truncate_prompt_tokens },
      sampling: SamplingParams.create({ maxTokens: 0 }),
      output: undefined,
      structuredOutput: undefined,
      embedding: { pooling: POOLINGS[pooling], dimensions, normalize },
      ...servingParams(request),
    })),
    media: { references, processorKwargs: request.mm_processor_kwargs },
    format: request.encoding_format ?? 'float',
  };
}

/** Reads the inputs: OpenAI's `input`, or vLLM's conversation, which is one of them. */
function inputsOf(request: EmbeddingBody): {
  readonly forms: readonly Prompt['form'][];
  readonly references: RequestedMedia['references'];
} {
  const { input, messages } = request;
  if ((input === undefined) === (messages === undefined)) {
    throw new MeshError('INVALID_REQUEST', 'give either input or messages', { param: 'input' });
  }
  if (messages === undefined) {
    const addSpecialTokens = request.add_special_tokens ?? true;
    const bounds = { field: 'input', maxPrompts: MAX_INPUTS };
    return { forms: textPrompts(input, addSpecialTokens, bounds), references: [] };
  }
  if (request.add_special_tokens === true) {
    const message = 'add_special_tokens: the template writes all special tokens of a conversation';
    throw new MeshError('INVALID_REQUEST', message, { param: 'add_special_tokens' });
  }
  const chat = conversation(messages);
  // Nothing is generated, so the assistant's opening is left out, as by vLLM.
  const options = templateOptions({ add_generation_prompt: false, ...request });
  const value = { messages: chat.messages, tools: [], ...options };
  const form = { $case: 'chat' as const, value };
  return { forms: [form], references: chat.references };
}
