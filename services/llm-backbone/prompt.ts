import { MeshError } from '#mesh/errors.ts';
import { Modality } from '#protos/autoglm/common/v1/media.ts';
import type {
  ChatMessage,
  ChatPrompt,
  ContentPart,
  Prompt,
} from '#protos/autoglm/llm/v1/prompt.ts';
import type { ChatTemplate } from './chat-template.ts';
import type { PlaceholderRange } from './placeholder-range.ts';
import type { TemplateMessage, TemplatePart } from './template-message.ts';
import type { Tokenizer } from './tokenizer.ts';

/** What turns a prompt into tokens. */
export interface PromptReader {
  readonly tokenizer: Tokenizer;
  /** Null where the checkpoint has none. */
  readonly chatTemplate: ChatTemplate | null;
}

/** How long a sequence may become, tokens. */
export interface LengthLimits {
  readonly maxModelLen: number;
  /** Tokens the whole KV cache holds. */
  readonly numCacheTokens: number;
  readonly blockSize: number;
}

/** A prompt ready to be computed. */
export interface PreparedPrompt {
  readonly tokenIds: readonly number[];
  /** In order; the decoder takes these rows instead of the placeholder tokens' embeddings. */
  readonly placeholders: readonly PlaceholderRange[];
}

/** Tokens of a prompt as the request wrote it, media placeholders not expanded. */
export async function tokenizePrompt(
  prompt: Prompt | undefined,
  reader: PromptReader,
): Promise<readonly number[]> {
  switch (prompt?.form?.$case) {
    case 'chat': {
      const rendered = renderChat(prompt.form.value, prompt.media, reader.chatTemplate);
      return reader.tokenizer.encode(rendered, { addSpecialTokens: false });
    }
    case 'text': {
      const { text, addSpecialTokens = true } = prompt.form.value;
      return reader.tokenizer.encode(text, { addSpecialTokens });
    }
    case 'tokens':
      return checkTokenIds(prompt.form.value.tokenIds, reader.tokenizer.vocabulary.size);
    case undefined:
      throw new MeshError('INVALID_REQUEST', 'the request has no prompt', { param: 'prompt' });
  }
}

/** Tokenizes a prompt, cuts it as asked and makes sure that it can be computed. */
export async function preparePrompt(
  prompt: Prompt | undefined,
  reader: PromptReader,
  limits: LengthLimits & { readonly maxTokens: number | undefined },
): Promise<PreparedPrompt> {
  if (prompt !== undefined && prompt.media.length > 0) {
    const message = `the prompt has ${prompt.media.length} media items and no encoder is connected; send text only`;
    throw new MeshError('UNSUPPORTED_MEDIA', message, { param: 'messages' });
  }
  const tokenIds = truncate(await tokenizePrompt(prompt, reader), prompt?.maxPromptTokens, limits);
  if (tokenIds.length === 0) {
    throw new MeshError('INVALID_REQUEST', 'the prompt has no tokens', { param: 'prompt' });
  }
  checkLength(tokenIds.length, limits);
  return { tokenIds, placeholders: [] };
}

/** Completion tokens that fit behind a prompt; the last one is never computed itself. */
export function completionRoom(numPromptTokens: number, limits: LengthLimits): number {
  const { maxModelLen, numCacheTokens } = limits;
  return Math.min(maxModelLen - numPromptTokens, numCacheTokens - numPromptTokens + 1);
}

function renderChat(
  chat: ChatPrompt,
  media: Prompt['media'],
  template: ChatTemplate | null,
): string {
  if (template === null) {
    const message =
      'the model has no chat template; start it with --chat-template or send a text prompt';
    throw new MeshError('INVALID_REQUEST', message, { param: 'messages' });
  }
  if (chat.messages.length === 0) {
    throw new MeshError('INVALID_REQUEST', 'messages is empty', { param: 'messages' });
  }
  const messages = chat.messages.map((message) => templateMessage(message, media));
  return template.render(messages, {
    addGenerationPrompt: chat.addGenerationPrompt ?? !chat.continueFinalMessage,
    continueFinalMessage: chat.continueFinalMessage,
    args: chat.templateArgs ?? {},
  });
}

function templateMessage(message: ChatMessage, media: Prompt['media']): TemplateMessage {
  const { role, content, metadata } = message;
  const shown = metadata === '' ? {} : { metadata };
  switch (content?.$case) {
    case 'parts':
      return {
        role,
        content: content.value.parts.map((part) => templatePart(part, media)),
        ...shown,
      };
    case 'text':
      return { role, content: content.value, ...shown };
    case undefined:
      return { role, content: '', ...shown };
  }
}

function templatePart({ part }: ContentPart, media: Prompt['media']): TemplatePart {
  if (part?.$case === 'text') return { type: 'text', text: part.value };
  const item = part === undefined ? undefined : media[part.value];
  switch (item?.modality) {
    case Modality.MODALITY_IMAGE:
      return { type: 'image' };
    case Modality.MODALITY_AUDIO:
      return { type: 'audio' };
    default: {
      const message = `a content part names media item ${part?.value}, the prompt has ${media.length} of known kind`;
      throw new MeshError('INVALID_REQUEST', message, { param: 'messages' });
    }
  }
}

function checkTokenIds(tokenIds: readonly number[], vocabSize: number): readonly number[] {
  const unknown = tokenIds.find((id) => id >= vocabSize);
  if (unknown === undefined) return tokenIds;
  const message = `prompt: ${unknown} is not a token id; the vocabulary has ${vocabSize} tokens`;
  throw new MeshError('INVALID_REQUEST', message, { param: 'prompt' });
}

/** Keeps the last `maxPromptTokens`; -1 keeps what leaves room for the completion. */
function truncate(
  tokenIds: readonly number[],
  maxPromptTokens: number | undefined,
  limits: LengthLimits & { readonly maxTokens: number | undefined },
): readonly number[] {
  if (maxPromptTokens === undefined) return tokenIds;
  const { maxModelLen, numCacheTokens, maxTokens = 1 } = limits;
  if (maxPromptTokens === -1) {
    const most = Math.min(maxModelLen - maxTokens, numCacheTokens + 1 - maxTokens);
    return tokenIds.slice(-Math.max(1, most));
  }
  if (maxPromptTokens >= 1 && maxPromptTokens <= maxModelLen)
    return tokenIds.slice(-maxPromptTokens);
  throw new MeshError(
    'INVALID_REQUEST',
    `truncate_prompt_tokens: got ${maxPromptTokens}, allowed is -1 or 1 to ${maxModelLen}`,
    { param: 'truncate_prompt_tokens' },
  );
}

function checkLength(
  numTokens: number,
  limits: LengthLimits & { readonly maxTokens: number | undefined },
): void {
  const { maxModelLen, numCacheTokens, blockSize, maxTokens } = limits;
  const numLeast = numTokens + (maxTokens === 0 ? 0 : 1);
  if (numLeast > maxModelLen) {
    throw new MeshError(
      'CONTEXT_LENGTH_EXCEEDED',
      `the prompt has ${numTokens} tokens and this model takes at most ${maxModelLen} in prompt and completion together; shorten the prompt`,
      { param: 'messages' },
    );
  }
  if (numTokens <= numCacheTokens) return;
  throw new MeshError(
    'REQUEST_EXCEEDS_KV_CACHE',
    `the prompt has ${numTokens} tokens, which need ${Math.ceil(numTokens / blockSize)} blocks of KV cache; this instance has ${numCacheTokens / blockSize}, ${numCacheTokens} tokens`,
    { param: 'messages' },
  );
}
