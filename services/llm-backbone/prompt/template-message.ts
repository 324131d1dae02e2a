import { readJson } from '#backbone/template/read-json.ts';
import { type Origin, Text } from '#backbone/template/text.ts';
import { Dict, List, type Value } from '#backbone/template/value.ts';
import type { ContentFormat } from './content-format.ts';

/** A part of a message; a media item is only named by its kind. */
export type TemplatePart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image' | 'audio' };

/** A call of a tool in an earlier turn. */
export interface TemplateToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON; empty: no arguments. */
  readonly arguments: string;
}

/** A message of a conversation; a field that the client did not send is absent. */
export interface TemplateMessage {
  readonly role: string;
  readonly content: string | readonly TemplatePart[];
  readonly name?: string;
  readonly metadata?: string;
  readonly reasoning?: string;
  readonly toolCalls?: readonly TemplateToolCall[];
  readonly toolCallId?: string;
}

/** Text that stands for an item if the template sees only strings. */
const PLACEHOLDERS = {
  image: '<|begin_of_image|><|image|><|end_of_image|>',
  audio: '<|begin_of_audio|><|audio|><|end_of_audio|>',
} as const;

/** Translates a message to the form that templates read, with the field names of vLLM. */
export function messageValue(message: TemplateMessage, format: ContentFormat): Dict {
  const { name, metadata, reasoning, toolCalls, toolCallId } = message;
  const written = (value: string | undefined): Value | undefined =>
    value === undefined ? undefined : Text.of(value, 'content');
  return dictOf({
    role: roleValue(message.role),
    content: contentValue(message, format),
    name: written(name),
    metadata: written(metadata),
    reasoning_content: written(reasoning),
    reasoning: written(reasoning),
    tool_calls: toolCalls && new List(toolCalls.map(toolCallValue)),
    tool_call_id: written(toolCallId),
  });
}

/** Makes a dict of the fields that have a value. */
function dictOf(fields: Readonly<Record<string, Value | undefined>>): Dict {
  return new Dict(
    Object.entries(fields).flatMap(([name, value]) =>
      value === undefined ? [] : [{ key: Text.of(name), value }],
    ),
  );
}

/** A role may be part of a control token such as `<|user|>`, if it is a plain word. */
function roleValue(role: string): Text {
  return Text.of(role, /^\w+$/.test(role) ? 'template' : 'content');
}

function contentValue({ role, content }: TemplateMessage, format: ContentFormat): Value {
  const origin = role === 'assistant' ? 'answer' : 'content';
  if (typeof content === 'string') return Text.of(content, origin);
  const text = flattened(content, origin);
  if (format === 'string') return text;
  const parts = content.map((part) =>
    dictOf({
      type: Text.of(part.type),
      text: part.type === 'text' ? Text.of(part.text, origin) : undefined,
    }),
  );
  return new List(parts, { text });
}

/** Joins placeholders, then texts, by newlines, as vLLM's string mode does. */
function flattened(parts: readonly TemplatePart[], origin: Origin): Text {
  const texts = parts.flatMap((part) => (part.type === 'text' ? [Text.of(part.text, origin)] : []));
  const placeholders = parts.flatMap((part) =>
    part.type === 'text' ? [] : [Text.of(PLACEHOLDERS[part.type])],
  );
  return Text.join([...placeholders, ...texts], Text.of('\n'));
}

/** Gives the function of a tool, JSON, in the form in which OpenAI's requests list it. */
export function toolValue(functionJson: string): Dict {
  return dictOf({ type: Text.of('function'), function: readJson(functionJson, 'content') });
}

/** Gives the arguments as the value they are, as vLLM does, since templates loop over them. */
function toolCallValue(call: TemplateToolCall): Dict {
  const given = call.arguments.trim() === '' ? '{}' : call.arguments;
  return dictOf({
    id: Text.of(call.id, 'content'),
    type: Text.of('function'),
    function: dictOf({
      name: Text.of(call.name, 'content'),
      arguments: readJson(given, 'content'),
    }),
  });
}
