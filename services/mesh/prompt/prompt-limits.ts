import type { PromptLimits } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { ChatMessage, ChatPrompt, Prompt } from '#protos/autoglm/llm/v1/prompt.ts';
import { MeshError } from '../errors.ts';
import { contextLength } from './context-overflow.ts';
import { MAX_TOOLS } from './tool-function.ts';

const MESSAGES = 'prompt.chat.messages';
const TOOLS = 'prompt.chat.tools';

/** Limits that a prompt must keep before it is tokenized. */
interface SizeLimits extends PromptLimits {
  /** Longest sequence in tokens. */
  readonly maxModelLen: number;
}

/**
 * Refuses a prompt that is too large to be worked on, before it is sent, rendered or tokenized and
 * before its media are read. Its length in tokens is known only afterwards and checked then.
 */
export function checkPromptSize(prompt: Prompt | undefined, limits: SizeLimits): void {
  if (prompt === undefined) return;
  // Each item is a part of some message in every form of prompt.
  checkNumParts(prompt.media.length, limits, 'media');
  switch (prompt.form?.$case) {
    case 'chat':
      checkChat(prompt.form.value, limits);
      return;
    case 'text':
      checkTextBytes(Buffer.byteLength(prompt.form.value.text), limits, 'prompt.text');
      return;
    case 'tokens':
    case undefined:
      return;
  }
}

function checkChat({ messages, tools }: ChatPrompt, limits: SizeLimits): void {
  const { maxMessages } = limits;
  if (messages.length > maxMessages) {
    const message = `${MESSAGES} has ${messages.length} entries, at most ${maxMessages} are taken (key "max-messages")`;
    throw new MeshError('INVALID_REQUEST', message, { param: MESSAGES });
  }
  if (tools.length > MAX_TOOLS) {
    const message = `${TOOLS} has ${tools.length} entries, at most ${MAX_TOOLS} are taken`;
    throw new MeshError('INVALID_REQUEST', message, { param: TOOLS });
  }
  let numParts = 0;
  let numBytes = tools.reduce((sum, one) => sum + Buffer.byteLength(one.functionJson), 0);
  for (const message of messages) {
    if (message.content?.$case === 'parts') numParts += message.content.value.parts.length;
    numParts += message.toolCalls.length;
    checkNumParts(numParts, limits, MESSAGES);
    numBytes += textBytes(message);
  }
  checkTextBytes(numBytes, limits, MESSAGES);
}

function textBytes(message: ChatMessage): number {
  const { role, content, metadata, name = '', reasoning = '', toolCallId = '' } = message;
  const calls = message.toolCalls.flatMap((call) => [call.id, call.name, call.arguments]);
  const own = [role, metadata, name, reasoning, toolCallId, ...calls].reduce(
    (sum, text) => sum + Buffer.byteLength(text),
    0,
  );
  switch (content?.$case) {
    case 'text':
      return own + Buffer.byteLength(content.value);
    case 'parts':
      return content.value.parts.reduce(
        (sum, { part }) => sum + (part?.$case === 'text' ? Buffer.byteLength(part.value) : 0),
        own,
      );
    case undefined:
      return own;
  }
}

function checkTextBytes(numBytes: number, limits: SizeLimits, param: string): void {
  const { maxTextBytes, maxContextBytes, maxModelLen } = limits;
  if (numBytes > maxTextBytes) {
    const message = `${param} has ${numBytes} bytes of text, at most ${maxTextBytes} are taken (key "max-prompt-mb")`;
    throw new MeshError('PAYLOAD_TOO_LARGE', message, { param });
  }
  if (numBytes <= maxContextBytes) return;
  const message = `${param} has ${numBytes} bytes of text, more than this model's context can hold: ${maxContextBytes} bytes if every token were its longest one. ${contextLength(maxModelLen)}; shorten it`;
  throw new MeshError('CONTEXT_LENGTH_EXCEEDED', message, { param });
}

function checkNumParts(count: number, { maxMessageParts }: PromptLimits, param: string): void {
  if (count <= maxMessageParts) return;
  const message = `${param} has over ${maxMessageParts} parts, the most that are taken (key "max-message-parts")`;
  throw new MeshError('INVALID_REQUEST', message, { param });
}
