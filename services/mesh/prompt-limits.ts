import type { PromptLimits } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { ChatMessage, ChatPrompt, Prompt } from '#protos/autoglm/llm/v1/prompt.ts';
import { MeshError } from './errors.ts';

const MESSAGES = 'prompt.chat.messages';

/**
 * Refuses a prompt that is too large to be worked on, before it is sent, rendered or tokenized and
 * before its media are read. Its length in tokens is known only afterwards and checked then.
 */
export function checkPromptSize(prompt: Prompt | undefined, limits: PromptLimits): void {
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

function checkChat({ messages }: ChatPrompt, limits: PromptLimits): void {
  const { maxMessages } = limits;
  if (messages.length > maxMessages) {
    const message = `${MESSAGES} has ${messages.length} entries, at most ${maxMessages} are taken (key "max-messages")`;
    throw new MeshError('INVALID_REQUEST', message, { param: MESSAGES });
  }
  let [numParts, numBytes] = [0, 0];
  for (const message of messages) {
    if (message.content?.$case === 'parts') numParts += message.content.value.parts.length;
    checkNumParts(numParts, limits, MESSAGES);
    numBytes += textBytes(message);
  }
  checkTextBytes(numBytes, limits, MESSAGES);
}

function textBytes({ role, content, metadata }: ChatMessage): number {
  const own = Buffer.byteLength(role) + Buffer.byteLength(metadata);
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

function checkTextBytes(numBytes: number, limits: PromptLimits, param: string): void {
  const { maxTextBytes, maxContextBytes } = limits;
  if (numBytes > maxTextBytes) {
    const message = `${param} has ${numBytes} bytes of text, at most ${maxTextBytes} are taken (key "max-prompt-mb")`;
    throw new MeshError('PAYLOAD_TOO_LARGE', message, { param });
  }
  if (numBytes <= maxContextBytes) return;
  const message = `${param} has ${numBytes} bytes of text, more than this model's context can hold: ${maxContextBytes} bytes if every token were its longest one; shorten it`;
  throw new MeshError('CONTEXT_LENGTH_EXCEEDED', message, { param });
}

function checkNumParts(count: number, { maxMessageParts }: PromptLimits, param: string): void {
  if (count <= maxMessageParts) return;
  const message = `${param} has over ${maxMessageParts} parts, the most that are taken (key "max-message-parts")`;
  throw new MeshError('INVALID_REQUEST', message, { param });
}
