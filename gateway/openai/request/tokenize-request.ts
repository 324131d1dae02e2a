import { Type } from 'typebox';
import type { UnknownField } from '#gateway/openai/fields/check-fields.ts';
import { DETOKENIZE_USES, TOKENIZE_USES } from '#gateway/openai/fields/request-uses.ts';
import { MeshError } from '#mesh/errors.ts';
import type { DetokenizeRequest, TokenizeRequest } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { openBody } from './body.ts';
import { compileCheck } from './check.ts';
import { flagField, objectField, textField } from './fields.ts';
import type { RequestedMedia } from './media-reference.ts';
import { conversation } from './messages.ts';
import { modelName } from './serving-fields.ts';
import { templateFields, templateOptions } from './template-args.ts';
import { tokenIds } from './text-prompts.ts';
import { toolList, toolListFields } from './tools.ts';

/** Checks the body of `POST /tokenize`. */
export const checkTokenize = compileCheck(
  Type.Object({
    ...templateFields,
    ...toolListFields,
    model: textField('a model name'),
    prompt: textField('a text'),
    messages: Type.Optional(
      Type.Array(Type.Unknown(), { minItems: 1, description: 'a list of at least one message' }),
    ),
    add_special_tokens: flagField(),
    return_token_strs: flagField(),
    mm_processor_kwargs: objectField('an object of image preprocessing options'),
  }),
  TOKENIZE_USES,
);

type PromptForm = NonNullable<NonNullable<TokenizeRequest['prompt']>['form']>;

/** vLLM's tokenize request, translated. */
export interface TokenizeCall {
  readonly model: string | undefined;
  readonly unknownFields: readonly UnknownField[];
  readonly form: PromptForm;
  readonly media: RequestedMedia;
  readonly returnsTokenStrings: boolean;
}

export function parseTokenizeRequest(json: unknown): TokenizeCall {
  const body = openBody(json);
  const { request, unknownFields } = checkTokenize(body);
  const { prompt, messages } = request;
  if ((prompt === undefined) === (messages === undefined)) {
    throw new MeshError('INVALID_REQUEST', 'give either prompt or messages', { param: 'prompt' });
  }
  const tools = toolList(request.tools);
  const chat = conversation(messages ?? []);
  const text = { text: prompt ?? '', addSpecialTokens: request.add_special_tokens ?? true };
  return {
    model: modelName(request.model),
    unknownFields,
    form:
      messages === undefined
        ? { $case: 'text', value: text }
        : {
            $case: 'chat',
            value: { messages: chat.messages, tools, ...templateOptions(request) },
          },
    media: { references: chat.references, processorKwargs: request.mm_processor_kwargs },
    returnsTokenStrings: request.return_token_strs ?? false,
  };
}

/** Checks the body of `POST /detokenize`. */
export const checkDetokenize = compileCheck(
  Type.Object({
    model: textField('a model name'),
    tokens: Type.Array(Type.Unknown(), { description: 'a list of token ids' }),
  }),
  DETOKENIZE_USES,
);

/** vLLM's detokenize request, translated. */
export type DetokenizeCall = Pick<DetokenizeRequest, 'tokenIds'> & {
  readonly model: string | undefined;
  readonly unknownFields: readonly UnknownField[];
};

export function parseDetokenizeRequest(json: unknown): DetokenizeCall {
  const { request, unknownFields } = checkDetokenize(openBody(json));
  const { model, tokens } = request;
  return { model: modelName(model), unknownFields, tokenIds: tokenIds(tokens, 'tokens') };
}
