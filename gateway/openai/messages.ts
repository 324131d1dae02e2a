import { MeshError } from '#mesh/errors.ts';
import type { ChatMessage, ContentPart } from '#protos/autoglm/llm/v1/prompt.ts';
import { briefly, isRecord } from './body.ts';

/** Role the template gets for each role a client may write. */
const ROLES: Readonly<Record<string, string>> = {
  system: 'system',
  developer: 'system',
  user: 'user',
  assistant: 'assistant',
  tool: 'tool',
};

const MEDIA_PARTS: ReadonlySet<unknown> = new Set([
  'image_url',
  'input_image',
  'image',
  'input_audio',
  'audio_url',
  'video_url',
  'file',
]);

/** Translates `messages`; a refusal names the message and the part. */
export function chatMessages(messages: readonly unknown[]): ChatMessage[] {
  return messages.map((message, i) => chatMessage(message, `messages[${i}]`));
}

function chatMessage(message: unknown, at: string): ChatMessage {
  if (!isRecord(message)) throw refusal(at, 'an object with role and content', message);
  const { role, content, name, metadata } = message;
  if (typeof role !== 'string' || !Object.hasOwn(ROLES, role)) {
    throw refusal(`${at}.role`, `one of ${Object.keys(ROLES).join(', ')}`, role);
  }
  for (const field of ['tool_calls', 'function_call']) refuseToolCalls(message[field], at, field);
  return {
    role: ROLES[role] ?? role,
    content: contentOf(content, { role, at: `${at}.content` }),
    metadata: stringOr(metadata, `${at}.metadata`) || stringOr(name, `${at}.name`),
  };
}

function refuseToolCalls(value: unknown, at: string, field: string): void {
  const isUnset = value === undefined || value === null;
  if (isUnset || (Array.isArray(value) && value.length === 0)) return;
  const message = `${at}.${field}: tool calls are not supported by this server`;
  throw new MeshError('INVALID_REQUEST', message, { param: `${at}.${field}` });
}

function stringOr(value: unknown, at: string): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw refusal(at, 'a text', value);
  return value;
}

function contentOf(
  content: unknown,
  { role, at }: { readonly role: string; readonly at: string },
): ChatMessage['content'] {
  if (typeof content === 'string') return { $case: 'text', value: content };
  if (Array.isArray(content)) {
    const parts = content.map((part: unknown, i) => contentPart(part, `${at}[${i}]`));
    return { $case: 'parts', value: { parts } };
  }
  if ((content === null || content === undefined) && role === 'assistant') return undefined;
  throw refusal(at, 'a text or a list of parts', content);
}

function contentPart(part: unknown, at: string): ContentPart {
  if (typeof part === 'string') return textPart(part);
  if (!isRecord(part)) throw refusal(at, 'an object with a type', part);
  const { type } = part;
  if (MEDIA_PARTS.has(type)) {
    const message = `${at}: ${String(type)} parts are not accepted by this server, only text`;
    throw new MeshError('UNSUPPORTED_MEDIA', message, { param: at });
  }
  // An assistant's refusal comes back as a part of its own type when a conversation is repeated.
  if (type !== 'text' && type !== 'refusal') throw refusal(`${at}.type`, 'text', type);
  const text = part[type];
  if (typeof text !== 'string') throw refusal(`${at}.${type}`, 'a text', text);
  return textPart(text);
}

function textPart(text: string): ContentPart {
  return { part: { $case: 'text', value: text } };
}

function refusal(at: string, allowed: string, received: unknown): MeshError {
  const message = `${at} must be ${allowed}, got ${briefly(received)}`;
  return new MeshError('INVALID_REQUEST', message, { param: at });
}

/** Text of the last message where it is the assistant's: what `echo` repeats before the answer. */
export function openAssistantText(messages: readonly ChatMessage[]): string {
  const last = messages.at(-1);
  if (last?.role !== 'assistant' || last.content === undefined) return '';
  if (last.content.$case === 'text') return last.content.value;
  return last.content.value.parts
    .map(({ part }) => (part?.$case === 'text' ? part.value : ''))
    .join('');
}
