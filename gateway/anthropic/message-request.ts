import { Type } from 'typebox';
import { CHAT_FIELDS, type FieldNames, withForm } from '#gateway/openai/field-names.ts';
import { openBody } from '#gateway/openai/request/body.ts';
import type { ChatRequest } from '#gateway/openai/request/chat-request.ts';
import { type Checked, compileCheck } from '#gateway/openai/request/check.ts';
import {
  flagField,
  integerField,
  listField,
  literalsField,
  numberField,
  objectField,
} from '#gateway/openai/request/fields.ts';
import { refusal } from '#gateway/openai/request/refusal.ts';
import { MAX_COUNT } from '#gateway/openai/request/sampling.ts';
import { parseTranslatedChat } from '#gateway/openai/translated-chat.ts';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import { chatMessages } from './chat-messages.ts';
import { chatTools } from './chat-tools.ts';
import { COUNT_USES, MESSAGE_USES } from './message-uses.ts';

/** Makes a field that the translation, or the chat, judges. */
const judgedField = (description: string) => Type.Optional(Type.Unknown({ description }));

const countFields = {
  model: Type.String({ minLength: 1, description: 'a model name' }),
  messages: Type.Array(Type.Unknown(), {
    minItems: 1,
    description: 'a list of at least one message',
  }),
  system: Type.Optional(
    Type.Union([Type.String(), Type.Array(Type.Unknown())], {
      description: 'a text or a list of text blocks',
    }),
  ),
  thinking: Type.Optional(
    Type.Object(
      {
        type: literalsField(['enabled', 'disabled', 'adaptive']),
        budget_tokens: integerField({ min: 0, max: MAX_COUNT }),
        display: literalsField(['summarized', 'omitted']),
      },
      { description: 'an object with the type "enabled", "adaptive" or "disabled"' },
    ),
  ),
  output_config: objectField('an object'),
  output_format: judgedField('an object with type and schema'),
  tools: listField(Type.Unknown(), 'a list of tools'),
  tool_choice: judgedField('an object with a type: one of auto, any, tool, none'),
  chat_template_kwargs: judgedField('an object of template arguments'),
  mm_processor_kwargs: judgedField('an object of image preprocessing options'),
} as const;

/** Checks the body of `POST /v1/messages/count_tokens`. */
export const checkCount = compileCheck(Type.Object(countFields), COUNT_USES);
/** Checks the body of `POST /v1/messages`. */
export const checkMessage = compileCheck(
  Type.Object({
    ...countFields,
    max_tokens: Type.Integer({
      minimum: 1,
      maximum: MAX_COUNT,
      description: `an integer from 1 to ${MAX_COUNT}`,
    }),
    stop_sequences: listField(Type.String({ minLength: 1 }), 'a list of texts that are not empty'),
    stream: flagField(),
    temperature: numberField({ min: 0, max: 2 }),
    top_p: numberField({ min: 0, max: 1 }),
    top_k: integerField({ min: 0, max: MAX_COUNT }),
  }),
  MESSAGE_USES,
);

/** A request of Anthropic's API, as the chat that it is. */
export interface MessageRequest extends ChatRequest {
  /** Anthropic's names for the fields of the request to the mesh. */
  readonly fields: FieldNames;
}

/** Reads the body of `POST /v1/messages`. */
export function parseMessageRequest(json: unknown): MessageRequest {
  const { request, unknownFields } = checkMessage(openBody(json));
  const { max_tokens, stop_sequences, stream, temperature, top_p, top_k } = request;
  const sampling = { max_tokens, stop: stop_sequences, stream, temperature, top_p, top_k };
  return { ...chatRequest(request, sampling), unknownFields };
}

/** Reads the body of `POST /v1/messages/count_tokens`. */
export function parseCountRequest(json: unknown): MessageRequest {
  const { request, unknownFields } = checkCount(openBody(json));
  return { ...chatRequest(request, {}), unknownFields };
}

type Counted = Checked<ReturnType<typeof checkCount>['request']>['request'];

/** Translates a request into a chat, which is read as every chat is. */
function chatRequest(request: Counted, sampling: Readonly<Record<string, unknown>>) {
  const { system, thinking, model, chat_template_kwargs, mm_processor_kwargs } = request;
  const { messages, names } = chatMessages(system, request.messages);
  const tools = chatTools(request.tools, request.tool_choice);
  const format = outputFormat(request.output_config?.['format'], request.output_format);
  const formNames = format === undefined ? [] : format.names;
  const fields = new Map([...CHAT_NAMES, ...names, ...tools.names, ...formNames]);
  const chat = {
    model,
    messages,
    ...sampling,
    ...tools.fields,
    response_format: format?.field,
    chat_template_kwargs,
    mm_processor_kwargs,
    thinking: thinkingOf(thinking),
    return_reasoning: thinking?.display === 'omitted' ? undefined : true,
    include_reasoning: thinking?.display === 'omitted' ? false : undefined,
    // An answer that the client has begun is gone on with.
    continue_final_message: isBegun(request.messages.at(-1)) ? true : undefined,
  };
  const parsed = parseTranslatedChat(chat, fields);
  return { fields: withForm(MESSAGE_FIELDS, parsed.formField), ...parsed };
}

/** Writes the schema of an answer as that of a chat; undefined if there is none. */
function outputFormat(format: unknown, older: unknown) {
  if (format !== undefined && format !== null && older !== undefined && older !== null) {
    throw refusal('output_format', 'absent beside output_config.format', older);
  }
  const value = format ?? older;
  if (value === undefined || value === null) return undefined;
  const at = value === format ? 'output_config.format' : 'output_format';
  if (!isRecord(value)) throw refusal(at, 'an object with type and schema', value);
  const { type, schema } = value;
  if (type !== 'json_schema') throw refusal(`${at}.type`, '"json_schema"', type);
  const field = { type, json_schema: { name: 'output', schema } };
  return { field, names: [['response_format.json_schema', at] as const] };
}

/** Writes whether to think, and a bound only for a model that may. */
function thinkingOf(thinking: Counted['thinking']): Readonly<Record<string, unknown>> | undefined {
  if (thinking?.type === undefined) return undefined;
  const { type, budget_tokens } = thinking;
  return type === 'disabled' || budget_tokens === undefined ? { type } : { type, budget_tokens };
}

function isBegun(last: unknown): boolean {
  if (!isRecord(last) || last['role'] !== 'assistant') return false;
  const { content } = last;
  const isCall = (block: unknown) => isRecord(block) && block['type'] === 'tool_use';
  return !(Array.isArray(content) && content.some(isCall));
}

/** Anthropic's names for fields of a chat. */
const CHAT_NAMES: FieldNames = new Map([['stop', 'stop_sequences']]);

/** Anthropic's names for fields of the request to the mesh. */
export const MESSAGE_FIELDS: FieldNames = new Map([
  ...CHAT_FIELDS,
  ['sampling.stop_strings', 'stop_sequences'],
  ['output.split_reasoning', 'thinking'],
  ['sampling.thinking_token_budget', 'thinking.budget_tokens'],
]);

/** Refuses a version of the API whose events have another form. */
export function checkVersion(version: string | readonly string[] | undefined): void {
  if (version !== UNNAMED_EVENTS) return;
  const message = `anthropic-version: ${version} is not served; send 2023-06-01 or later`;
  throw new MeshError('INVALID_REQUEST', message, { param: 'anthropic-version' });
}

/** The version whose events have no names; later ones have added to them. */
const UNNAMED_EVENTS = '2023-01-01';
