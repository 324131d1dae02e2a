import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import type { ChatMessage, ContentPart } from '#protos/autoglm/llm/v1/prompt.ts';
import { type MediaReference, mediaReference } from './media-reference.ts';
import { refusal } from './refusal.ts';
import { toolCalls } from './tool-calls.ts';

/** Role in the template for each role that a client may write. */
const ROLES: Readonly<Record<string, string>> = {
  system: 'system',
  developer: 'system',
  user: 'user',
  assistant: 'assistant',
  tool: 'tool',
};

/** Part types of other APIs and of media that are not supported. */
const FOREIGN_PARTS: ReadonlySet<unknown> = new Set(['input_image', 'image', 'video_url', 'file']);
const KNOWN_PARTS = 'text, image_url, input_audio, audio_url';

/** A conversation and the media its parts refer to, by index. */
export interface Conversation {
  readonly messages: ChatMessage[];
  readonly references: readonly MediaReference[];
}

/** Translates `messages`; a refusal names the message and the part. */
export function conversation(messages: readonly unknown[]): Conversation {
  const references: MediaReference[] = [];
  return {
    messages: messages.map((message, i) =>
      chatMessage(message, { at: `messages[${i}]`, references }),
    ),
    references,
  };
}

/** Path of a value, and the media found so far. */
interface Place {
  readonly at: string;
  readonly references: MediaReference[];
}

function chatMessage(message: unknown, { at, references }: Place): ChatMessage {
  if (!isRecord(message)) throw refusal(at, 'an object with role and content', message);
  const { role, content, name, metadata, tool_call_id } = message;
  if (typeof role !== 'string' || !Object.hasOwn(ROLES, role)) {
    throw refusal(`${at}.role`, `one of ${Object.keys(ROLES).join(', ')}`, role);
  }
  return {
    role: ROLES[role] ?? role,
    content: contentOf(content, { at: `${at}.content`, references }),
    metadata: optionalText(metadata, `${at}.metadata`) ?? '',
    name: optionalText(name, `${at}.name`),
    reasoning: role === 'assistant' ? reasoningOf(message, at) : undefined,
    toolCalls: toolCalls(message, { role, at }),
    toolCallId: optionalText(tool_call_id, `${at}.tool_call_id`),
  };
}

/** Reads the thoughts of an earlier turn under both names they have. */
function reasoningOf(message: Readonly<Record<string, unknown>>, at: string): string | undefined {
  const [ours, theirs] = ['reasoning', 'reasoning_content'].map((name) =>
    optionalText(message[name], `${at}.${name}`),
  );
  return ours || theirs;
}

function optionalText(value: unknown, at: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw refusal(at, 'a text', value);
  return value;
}

/** Reads the content of a message; null and missing content mean that it is empty. */
function contentOf(content: unknown, { at, references }: Place): ChatMessage['content'] {
  if (content === null || content === undefined) return undefined;
  if (typeof content === 'string') return { $case: 'text', value: content };
  if (Array.isArray(content)) {
    const parts = content.map((part: unknown, i) =>
      contentPart(part, { at: `${at}[${i}]`, references }),
    );
    return { $case: 'parts', value: { parts } };
  }
  throw refusal(at, 'a text or a list of parts', content);
}

function contentPart(part: unknown, { at, references }: Place): ContentPart {
  if (typeof part === 'string') return textPart(part);
  if (!isRecord(part)) throw refusal(at, 'an object with a type', part);
  const reference = mediaReference({ part, at });
  if (reference !== undefined) {
    const mediaIndex = references.push(reference) - 1;
    return { part: { $case: 'mediaIndex', value: mediaIndex } };
  }
  const { type } = part;
  if (FOREIGN_PARTS.has(type)) {
    const message = `${at}: ${String(type)} parts are not accepted by this server, only ${KNOWN_PARTS}`;
    throw new MeshError('UNSUPPORTED_MEDIA', message, { param: at });
  }
  // If a client repeats a conversation, an assistant's refusal comes back as a part of this type.
  if (type !== 'text' && type !== 'refusal')
    throw refusal(`${at}.type`, `one of ${KNOWN_PARTS}`, type);
  const text = part[type];
  if (typeof text !== 'string') throw refusal(`${at}.${type}`, 'a text', text);
  return textPart(text);
}

function textPart(text: string): ContentPart {
  return { part: { $case: 'text', value: text } };
}

/**
 * Returns the text of the last message if it is the assistant's, which `echo` puts before the
 * answer.
 */
export function openAssistantText(messages: readonly ChatMessage[]): string {
  const last = messages.at(-1);
  if (last?.role !== 'assistant' || last.content === undefined) return '';
  if (last.content.$case === 'text') return last.content.value;
  return last.content.value.parts
    .map(({ part }) => (part?.$case === 'text' ? part.value : ''))
    .join('');
}
