import { Type } from 'typebox';
import { CHAT_FIELDS, type FieldNames, withForm } from '#gateway/openai/field-names.ts';
import { MAX_LOGPROBS } from '#gateway/openai/request/answer-fields.ts';
import { openBody } from '#gateway/openai/request/body.ts';
import type { ChatRequest } from '#gateway/openai/request/chat-request.ts';
import { type Checked, compileCheck } from '#gateway/openai/request/check.ts';
import {
  flagField,
  integerField,
  listField,
  objectField,
  textField,
} from '#gateway/openai/request/fields.ts';
import { refusal } from '#gateway/openai/request/refusal.ts';
import { MAX_COUNT, samplingFields } from '#gateway/openai/request/sampling.ts';
import { servingFields } from '#gateway/openai/request/serving-fields.ts';
import { structuredFields } from '#gateway/openai/request/structured-output.ts';
import { thinkingFields } from '#gateway/openai/request/thinking.ts';
import { toolFields } from '#gateway/openai/request/tools.ts';
import { parseTranslatedChat } from '#gateway/openai/translated-chat.ts';
import { chatMessages } from './chat-items.ts';
import { chatTools } from './chat-tools.ts';
import { checkMetadata } from './metadata.ts';
import type { ResponseForm } from './response-form.ts';
import { RESPONSE_USES } from './response-uses.ts';
import { SAME_FIELDS } from './same-fields.ts';

/** More items than any backbone takes as messages; bounds the work of translating them. */
const MAX_ITEMS = 100_000;

/** Most characters of a format's name, as in OpenAI's API. */
const MAX_NAME_CHARS = 64;

const LOGPROBS = 'message.output_text.logprobs';
/** What a client may ask to be added; all but the log-probabilities is of tools that are refused. */
const INCLUDABLE = [
  LOGPROBS,
  'reasoning.encrypted_content',
  'message.input_image.image_url',
  'file_search_call.results',
  'web_search_call.results',
  'web_search_call.action.sources',
  'code_interpreter_call.outputs',
  'computer_call_output.output.image_url',
] as const;

/** Checks the body of `POST /v1/responses`. */
export const checkResponse = compileCheck(
  Type.Object({
    ...servingFields,
    ...toolFields,
    temperature: samplingFields.temperature,
    top_p: samplingFields.top_p,
    top_k: samplingFields.top_k,
    min_p: samplingFields.min_p,
    repetition_penalty: samplingFields.repetition_penalty,
    presence_penalty: samplingFields.presence_penalty,
    frequency_penalty: samplingFields.frequency_penalty,
    logit_bias: samplingFields.logit_bias,
    seed: samplingFields.seed,
    stop: samplingFields.stop,
    ignore_eos: samplingFields.ignore_eos,
    structured_outputs: structuredFields.structured_outputs,
    chat_template_kwargs: objectField('an object of template arguments'),
    mm_processor_kwargs: objectField('an object of image preprocessing options'),
    input: Type.Union(
      [Type.String(), Type.Array(Type.Unknown(), { minItems: 1, maxItems: MAX_ITEMS })],
      { description: `a text or a list of 1 to ${MAX_ITEMS} items` },
    ),
    instructions: textField('a text'),
    max_output_tokens: integerField({ min: 1, max: MAX_COUNT }),
    top_logprobs: integerField({ min: 0, max: MAX_LOGPROBS }),
    include: listField(
      Type.Unsafe<(typeof INCLUDABLE)[number]>(
        Type.Union(INCLUDABLE.map((one) => Type.Literal(one))),
      ),
      `a list of: ${INCLUDABLE.join(', ')}`,
    ),
    metadata: objectField('an object of at most 16 texts'),
    stream: flagField(),
    text: Type.Optional(
      Type.Object(
        {
          format: Type.Optional(
            Type.Union([Type.Null(), Type.Unsafe<Record<string, unknown>>(Type.Object({}))], {
              description: 'an object with a type: one of text, json_object, json_schema',
            }),
          ),
        },
        { description: 'an object with a format' },
      ),
    ),
    reasoning: Type.Optional(
      Type.Object(
        { effort: thinkingFields.reasoning.properties.effort },
        { description: 'an object with an effort' },
      ),
    ),
  }),
  RESPONSE_USES,
);

/** A request of the Responses API, as the chat that it is. */
export interface ResponseRequest extends Omit<ChatRequest, 'form' | 'formField'> {
  /** The API's names for the fields of the request to the mesh. */
  readonly fields: FieldNames;
  readonly form: ResponseForm;
}

type Json = Readonly<Record<string, unknown>>;
type Checkable = Checked<ReturnType<typeof checkResponse>['request']>['request'];

/** Reads the body of `POST /v1/responses`. */
export function parseResponseRequest(json: unknown): ResponseRequest {
  const { request, unknownFields } = checkResponse(openBody(json));
  const metadata = checkMetadata(request.metadata);
  const { messages, names } = chatMessages(request.instructions, request.input);
  const tools = chatTools(request.tools, request.tool_choice);
  const chatNames = new Map([...CHAT_NAMES, ...names, ...tools.names]);
  const format = writtenFormat(request.text?.format ?? undefined);
  const hasLogprobs =
    request.include?.includes(LOGPROBS) === true || (request.top_logprobs ?? 0) > 0;
  const chat = {
    ...sameFields(request),
    messages,
    ...tools.fields,
    max_completion_tokens: request.max_output_tokens,
    logprobs: hasLogprobs ? true : undefined,
    top_logprobs: hasLogprobs ? request.top_logprobs : undefined,
    response_format: format === undefined ? undefined : chatFormat(format),
    reasoning_effort: request.reasoning?.effort ?? undefined,
    return_reasoning: true,
  };
  const { form: _, formField, ...parsed } = parseTranslatedChat(chat, chatNames);
  return {
    fields: withForm(meshFields(names), formField),
    form: { request, metadata, tools: tools.repeated, format, hasLogprobs },
    ...parsed,
    unknownFields,
  };
}

function sameFields(request: Checkable): Json {
  return Object.fromEntries(SAME_FIELDS.map((name) => [name, request[name]]));
}

/** Returns a format without fields that have no effect, for the answer repeats it. */
function writtenFormat(format: Json | undefined): Json | undefined {
  if (format === undefined) return undefined;
  const { type, name, schema, strict } = format;
  if (typeof name === 'string' && name.length > MAX_NAME_CHARS) {
    throw refusal('text.format.name', `a text of at most ${MAX_NAME_CHARS} characters`, name);
  }
  return type === 'json_schema' ? { type, name, schema, strict } : { type };
}

/** Writes a format, whose schema lies flat, as that of a chat. */
function chatFormat({ type, ...schema }: Json): Json {
  return type === 'json_schema' ? { type, json_schema: schema } : { type };
}

/** The API's names for fields of a chat. */
const CHAT_NAMES: FieldNames = new Map([
  ['max_completion_tokens', 'max_output_tokens'],
  ['response_format', 'text.format'],
  ['response_format.json_schema', 'text.format'],
  ['reasoning_effort', 'reasoning.effort'],
  ['messages', 'input'],
]);

/** Returns the client's names for fields of the request to the mesh, its messages among them. */
function meshFields(names: ReadonlyMap<string, string>): FieldNames {
  const ofMessages = [...names].map(([path, at]): [string, string] => [`prompt.chat.${path}`, at]);
  return new Map([...RESPONSE_FIELDS, ...ofMessages]);
}

const RESPONSE_FIELDS: FieldNames = new Map([
  ...CHAT_FIELDS,
  ['prompt', 'input'],
  ['prompt.chat.messages', 'input'],
  ['media', 'input'],
  ['sampling.max_tokens', 'max_output_tokens'],
  ['output.split_reasoning', 'reasoning'],
]);
