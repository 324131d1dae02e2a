import { refusal } from '#gateway/openai/request/refusal.ts';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';

type Json = Readonly<Record<string, unknown>>;

/** Blocks that this server reads, for refusals. */
const KNOWN_BLOCKS = 'text, image, thinking, tool_use, tool_result';
/** Blocks of media and of tools that only Anthropic's own servers run. */
const FOREIGN_BLOCK =
  /document|search|fetch|file|code_execution|server_tool|container|mcp|video|audio/;
const IMAGE_TYPES = ['image/jpeg', 'image/png', 'image/gif', 'image/webp'];

/** Messages as OpenAI's API has them, and the client's path for each path in them. */
export interface ChatMessages {
  readonly messages: Json[];
  readonly names: Map<string, string>;
}

/**
 * Writes Anthropic's system text and messages as those of a chat. What a message has of results of
 * tools becomes messages in front of it. What the chat judges by itself is passed on as it came.
 */
export function chatMessages(system: unknown, messages: readonly unknown[]): ChatMessages {
  const chat: ChatMessages = { messages: [], names: new Map() };
  if (system !== undefined) addMessage(chat, { role: 'system', content: system, at: 'system' });
  for (const [i, message] of messages.entries()) {
    const at = `messages[${i}]`;
    if (!isRecord(message)) throw refusal(at, 'an object with role and content', message);
    const { role, content } = message;
    if (role !== 'user' && role !== 'assistant' && role !== 'system') {
      throw refusal(`${at}.role`, 'one of user, assistant, system', role);
    }
    addMessage(chat, { role, content, at: `${at}.content` });
  }
  return chat;
}

interface Source {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: unknown;
  /** Path of the content. */
  readonly at: string;
}

function addMessage(chat: ChatMessages, { role, content, at }: Source): void {
  if (typeof content === 'string') {
    add(chat, { role, content }, at);
    return;
  }
  if (!Array.isArray(content)) throw refusal(at, 'a text or a list of blocks', content);
  const turn: Turn = { role, parts: [], thoughts: [], calls: [] };
  for (const [i, block] of content.entries()) addBlock(chat, turn, { block, at: `${at}[${i}]` });
  const { parts, thoughts, calls } = turn;
  if (parts.length + thoughts.length + calls.length === 0 && content.length > 0) return;
  const reasoning = thoughts.join('');
  const index = add(
    chat,
    {
      role,
      content: parts.map(({ part }) => part),
      ...(reasoning === '' ? {} : { reasoning }),
      ...(calls.length === 0 ? {} : { tool_calls: calls.map(({ part }) => part) }),
    },
    at,
  );
  for (const [i, part] of parts.entries()) name(chat, `messages[${index}].content[${i}]`, part);
  for (const [i, call] of calls.entries()) {
    const path = `messages[${index}].tool_calls[${i}]`;
    name(chat, path, call);
    chat.names
      .set(`${path}.function`, call.at)
      .set(`${path}.function.arguments`, `${call.at}.input`);
  }
}

/** A part of a chat message and the block that it was. */
interface Placed {
  readonly part: Json;
  readonly at: string;
  /** The client's path of the image, if it is one. */
  readonly media?: string;
}

/** A message while its blocks are read. */
interface Turn {
  readonly role: Source['role'];
  readonly parts: Placed[];
  readonly thoughts: string[];
  readonly calls: Placed[];
}

/** Adds a message; returns its index. */
function add(chat: ChatMessages, message: Json, at: string): number {
  const index = chat.messages.push(message) - 1;
  chat.names.set(`messages[${index}]`, at);
  chat.names.set(`messages[${index}].content`, at);
  return index;
}

function name({ names }: ChatMessages, path: string, { at, media }: Placed): void {
  names.set(path, at);
  if (media !== undefined)
    names.set(`${path}.image_url`, media).set(`${path}.image_url.url`, media);
}

interface PlacedBlock {
  readonly block: unknown;
  readonly at: string;
}

function addBlock(chat: ChatMessages, turn: Turn, { block, at }: PlacedBlock): void {
  if (!isRecord(block)) throw refusal(at, 'an object with a type', block);
  const { type } = block;
  switch (type) {
    case 'text':
      turn.parts.push({ part: { type, text: block['text'] }, at });
      return;
    case 'image':
      turn.parts.push(imagePart(block['source'], at));
      return;
    case 'thinking':
      if (turn.role !== 'assistant') throw onlyIn('assistant', type, at);
      turn.thoughts.push(textOf(block, 'thinking', at));
      return;
    case 'tool_use':
      if (turn.role !== 'assistant') throw onlyIn('assistant', type, at);
      turn.calls.push({ part: callOf(block, at), at });
      return;
    case 'tool_result':
      if (turn.role !== 'user') throw onlyIn('user', type, at);
      addResult(chat, block, at);
      return;
    default:
      throw foreignBlock(type, at);
  }
}

function imagePart(source: unknown, at: string): Placed {
  const place = `${at}.source`;
  if (!isRecord(source)) throw refusal(place, 'an object with a type', source);
  const { type, media_type: mediaType } = source;
  if (type === 'url') {
    const url = textOf(source, 'url', place);
    return { part: { type: 'image_url', image_url: { url } }, at, media: `${place}.url` };
  }
  if (type !== 'base64') throw refusal(`${place}.type`, '"base64" or "url"', type);
  if (typeof mediaType !== 'string' || !IMAGE_TYPES.includes(mediaType)) {
    throw refusal(`${place}.media_type`, `one of ${IMAGE_TYPES.join(', ')}`, mediaType);
  }
  const url = `data:${mediaType};base64,${textOf(source, 'data', place)}`;
  return { part: { type: 'image_url', image_url: { url } }, at, media: `${place}.data` };
}

function callOf({ id, name: tool, input }: Json, at: string): Json {
  if (!isRecord(input)) throw refusal(`${at}.input`, 'an object', input);
  return { id, type: 'function', function: { name: tool, arguments: input } };
}

/** Adds a result of a tool as a message of its own. */
function addResult(chat: ChatMessages, block: Json, at: string): void {
  const { tool_use_id: id, content = '' } = block;
  const parts: Placed[] = [];
  if (Array.isArray(content)) {
    for (const [i, inner] of content.entries()) {
      const place = `${at}.content[${i}]`;
      const turn: Turn = { role: 'system', parts, thoughts: [], calls: [] };
      addBlock(chat, turn, { block: inner, at: place });
    }
  } else if (typeof content !== 'string') {
    throw refusal(`${at}.content`, 'a text or a list of blocks', content);
  }
  const written = typeof content === 'string' ? content : parts.map(({ part }) => part);
  const index = add(chat, { role: 'tool', tool_call_id: id, content: written }, at);
  chat.names.set(`messages[${index}].content`, `${at}.content`);
  chat.names.set(`messages[${index}].tool_call_id`, `${at}.tool_use_id`);
  for (const [i, part] of parts.entries()) name(chat, `messages[${index}].content[${i}]`, part);
}

function textOf(object: Json, field: string, at: string): string {
  const text = object[field];
  if (typeof text === 'string') return text;
  throw refusal(`${at}.${field}`, 'a text', text);
}

function onlyIn(role: string, type: string, at: string): MeshError {
  const message = `${at}: ${type} blocks are only in messages of the role ${role}`;
  return new MeshError('INVALID_REQUEST', message, { param: at });
}

function foreignBlock(type: unknown, at: string): MeshError {
  if (typeof type === 'string' && (FOREIGN_BLOCK.test(type) || type === 'redacted_thinking')) {
    const message = `${at}: ${type.slice(0, 40)} blocks are not accepted by this server, only ${KNOWN_BLOCKS}`;
    return new MeshError('UNSUPPORTED_MEDIA', message, { param: at });
  }
  return refusal(`${at}.type`, `one of ${KNOWN_BLOCKS}`, type);
}
