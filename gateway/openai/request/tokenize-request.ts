import { Type } from 'typebox';
import { MeshError } from '#mesh/errors.ts';
import type { DetokenizeRequest, TokenizeRequest } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { openBody } from './body.ts';
import { compileCheck } from './check.ts';
import { tokenIds } from './completion-prompts.ts';
import { flagField, objectField, textField } from './fields.ts';
import type { RequestedMedia } from './media-reference.ts';
import { conversation } from './messages.ts';
import { refuseUnsupported } from './refused-fields.ts';
import { templateFields, templateOptions } from './template-args.ts';

const checkTokenize = compileCheck(
  Type.Object({
    ...templateFields,
    model: textField('a model name'),
    prompt: textField('a text'),
    messages: Type.Optional(
      Type.Array(Type.Unknown(), { minItems: 1, description: 'a list of at least one message' }),
    ),
    add_special_tokens: flagField(),
    return_token_strs: flagField(),
    mm_processor_kwargs: objectField('an object of image preprocessing options'),
  }),
);

type PromptForm = NonNullable<NonNullable<TokenizeRequest['prompt']>['form']>;

/** vLLM's tokenize request, translated. */
export interface TokenizeCall {
  readonly model: string | undefined;
  readonly form: PromptForm;
  /** Media that are never loaded: here an item's placeholder is one token. */
  readonly media: RequestedMedia;
  readonly returnsTokenStrings: boolean;
}

export function parseTokenizeRequest(json: unknown): TokenizeCall {
  const body = openBody(json);
  refuseUnsupported(body);
  const request = checkTokenize(body);
  const { prompt, messages } = request;
  if ((prompt === undefined) === (messages === undefined)) {
    throw new MeshError('INVALID_REQUEST', 'give either prompt or messages', { param: 'prompt' });
  }
  const chat = conversation(messages ?? []);
  const text = { text: prompt ?? '', addSpecialTokens: request.add_special_tokens ?? true };
  return {
    model: request.model,
    form:
      messages === undefined
        ? { $case: 'text', value: text }
        : { $case: 'chat', value: { messages: chat.messages, ...templateOptions(request) } },
    media: { references: chat.references, processorKwargs: request.mm_processor_kwargs },
    returnsTokenStrings: request.return_token_strs ?? false,
  };
}

const checkDetokenize = compileCheck(
  Type.Object({
    model: textField('a model name'),
    tokens: Type.Array(Type.Unknown(), { description: 'a list of token ids' }),
  }),
);

/** vLLM's detokenize request, translated. */
export type DetokenizeCall = Pick<DetokenizeRequest, 'tokenIds'> & {
  readonly model: string | undefined;
};

export function parseDetokenizeRequest(json: unknown): DetokenizeCall {
  const request = checkDetokenize(openBody(json));
  return { model: request.model, tokenIds: tokenIds(request.tokens, 'tokens') };
}
