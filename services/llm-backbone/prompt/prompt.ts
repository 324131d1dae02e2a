import type { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import type { MropePositions } from '#backbone/engine/sequence.ts';
import type { ItemShape, MediaIdentity } from '#backbone/media/media-item.ts';
import { abortable } from '#mesh/async/abortable.ts';
import { MeshError } from '#mesh/errors.ts';
import type { MediaModality } from '#mesh/modality.ts';
import { contextLength, contextOverflow } from '#mesh/prompt/context-overflow.ts';
import { Modality } from '#protos/autoglm/common/v1/media.ts';
import type {
  ChatMessage,
  ChatPrompt,
  ContentPart,
  Prompt,
} from '#protos/autoglm/llm/v1/prompt.ts';
import type { ChatTemplate, RenderOptions } from './chat-template.ts';
import {
  cutFront,
  type ExpandedPrompt,
  expandPlaceholders,
  findPlaceholders,
  type MediaSyntax,
  rotaryPositions,
} from './media-prompt.ts';
import type { DeskCall, EncodedText, PromptDesk } from './prompt-desk.ts';
import type { TemplateMessage, TemplatePart } from './template-message.ts';

const MESSAGES = 'prompt.chat.messages';

/** The parts of a model that turn a prompt into tokens. */
export interface PromptReader {
  readonly tokenizer: Tokenizer;
  /** Null if the checkpoint has none. */
  readonly chatTemplate: ChatTemplate | null;
  readonly desk: PromptDesk;
  readonly media: MediaSyntax;
}

/** The media items of a prompt; their numbers of rows may have to be asked for. */
export interface PromptMedia {
  readonly items: readonly MediaIdentity[];
  shapes(): Promise<readonly ItemShape[]>;
}

/** Limits on the length of a sequence, in tokens. */
export interface LengthLimits {
  readonly maxModelLen: number;
  /** Tokens the whole KV cache holds. */
  readonly numCacheTokens: number;
  readonly blockSize: number;
}

/** A prompt ready to be computed. */
export interface PreparedPrompt extends ExpandedPrompt {
  /** Null if each token's rotary position is its index. */
  readonly positions: MropePositions | null;
  /** Length of all recordings together, milliseconds. */
  readonly audioDurationMs: number;
}

/** Limits and choices of a request that its prompt is prepared with. */
export interface PreparationOptions extends LengthLimits {
  readonly maxTokens: number | undefined;
  readonly media: PromptMedia;
  readonly signal: AbortSignal;
  /** Name of the client, between which large prompts take turns. */
  readonly client: string;
}

/**
 * Returns the tokens of a prompt as the request wrote it, with one placeholder for each media item.
 */
export async function tokenizePrompt(
  prompt: Prompt | undefined,
  { desk, tokenizer }: PromptReader,
  call: DeskCall,
): Promise<EncodedText> {
  switch (prompt?.form?.$case) {
    case 'chat': {
      const chat = prompt.form.value;
      const messages = templateMessages(chat, prompt.media);
      return desk.readChat(messages, renderOptions(chat), call);
    }
    case 'text': {
      const { text, addSpecialTokens = true } = prompt.form.value;
      return desk.readText(text, { addSpecialTokens }, call);
    }
    case 'tokens':
      return {
        tokenIds: checkTokenIds(prompt.form.value.tokenIds, tokenizer.vocabulary.size),
        isWhole: true,
      };
    case undefined:
      throw new MeshError('INVALID_REQUEST', 'the request has no prompt', { param: 'prompt' });
  }
}

/**
 * Tokenizes a prompt, repeats the placeholders of its media for their rows, cuts it as asked and
 * makes sure that it can be computed.
 */
export async function preparePrompt(
  prompt: Prompt | undefined,
  reader: PromptReader,
  options: PreparationOptions,
): Promise<PreparedPrompt> {
  const { items } = options.media;
  const isCut = prompt?.maxPromptTokens !== undefined;
  const { client, signal, maxModelLen } = options;
  const maxTokens = isCut ? undefined : maxModelLen;
  const encoded = await tokenizePrompt(prompt, reader, { client, signal, maxTokens });
  const { tokenIds: written, isWhole } = encoded;
  if (!isCut) checkTokens(written.length, options, { isWhole });
  const references = mediaReferences(prompt);
  checkReferences(references, items);
  const placeholders = findPlaceholders(written, reader.media, { items, references });
  options.signal.throwIfAborted();
  const shapes = await abortable(options.media.shapes(), options.signal);
  const expanded = expandPlaceholders(written, placeholders, { items, shapes });
  const numKept = keptLength(expanded.tokenIds.length, prompt?.maxPromptTokens, options);
  const kept = cutFront(expanded, expanded.tokenIds.length - numKept);
  if (kept.tokenIds.length === 0) {
    throw new MeshError('INVALID_REQUEST', 'the prompt has no tokens', { param: 'prompt' });
  }
  checkLength(kept, shapes, options);
  return {
    ...kept,
    positions: rotaryPositions(kept, shapes, reader.media),
    audioDurationMs: audioDurationMs(kept, shapes),
  };
}

/** Counts the prompt tokens that are rows of a kind of media. */
export function countMediaTokens(
  { placeholders }: ExpandedPrompt,
  modality: MediaModality,
): number {
  const ranges = placeholders.filter((range) => range.modality === modality);
  return ranges.reduce((sum, { numTokens }) => sum + numTokens, 0);
}

function audioDurationMs({ placeholders }: ExpandedPrompt, shapes: readonly ItemShape[]): number {
  const ranges = placeholders.filter(({ modality }) => modality === 'audio');
  return ranges.reduce((sum, { mediaIndex }) => sum + (shapes[mediaIndex]?.durationMs ?? 0), 0);
}

/** Returns how many completion tokens fit after a prompt; the last one is never computed itself. */
export function completionRoom(numPromptTokens: number, limits: LengthLimits): number {
  const { maxModelLen, numCacheTokens } = limits;
  return Math.min(maxModelLen - numPromptTokens, numCacheTokens - numPromptTokens + 1);
}

function templateMessages(chat: ChatPrompt, media: Prompt['media']): TemplateMessage[] {
  if (chat.messages.length > 0) return chat.messages.map((one) => templateMessage(one, media));
  throw new MeshError('INVALID_REQUEST', `${MESSAGES} is empty`, { param: MESSAGES });
}

function renderOptions(chat: ChatPrompt): RenderOptions {
  return {
    addGenerationPrompt: chat.addGenerationPrompt ?? !chat.continueFinalMessage,
    continueFinalMessage: chat.continueFinalMessage,
    args: chat.templateArgs ?? {},
    tools: chat.tools.map(({ functionJson }) => functionJson),
  };
}

function templateMessage(message: ChatMessage, media: Prompt['media']): TemplateMessage {
  const { role, metadata, name, reasoning, toolCalls, toolCallId } = message;
  return {
    role,
    content: templateContent(message.content, media),
    ...(metadata === '' ? {} : { metadata }),
    ...(name === undefined ? {} : { name }),
    ...(reasoning === undefined ? {} : { reasoning }),
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
    ...(toolCallId === undefined ? {} : { toolCallId }),
  };
}

function templateContent(
  content: ChatMessage['content'],
  media: Prompt['media'],
): TemplateMessage['content'] {
  if (content === undefined) return '';
  if (content.$case === 'text') return content.value;
  return content.value.parts.map((part) => templatePart(part, media));
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
      throw new MeshError('INVALID_REQUEST', message, { param: MESSAGES });
    }
  }
}

/**
 * Returns media indices in the order the prompt names them, or in item order outside a
 * conversation.
 */
function mediaReferences(prompt: Prompt | undefined): readonly number[] {
  if (prompt?.form?.$case !== 'chat') return prompt?.media.map((_, index) => index) ?? [];
  return prompt.form.value.messages.flatMap(({ content }) => {
    if (content?.$case !== 'parts') return [];
    return content.value.parts.flatMap(({ part }) =>
      part?.$case === 'mediaIndex' ? [part.value] : [],
    );
  });
}

function checkReferences(references: readonly number[], items: readonly MediaIdentity[]): void {
  const named = new Set(references);
  const unnamed = items.findIndex((_, index) => !named.has(index));
  if (unnamed === -1) return;
  const message = `no content part names media item ${unnamed}`;
  throw new MeshError('INVALID_REQUEST', message, { param: MESSAGES });
}

function checkTokenIds(tokenIds: readonly number[], vocabSize: number): readonly number[] {
  const unknown = tokenIds.find((id) => id >= vocabSize);
  if (unknown === undefined) return tokenIds;
  const message = `prompt.tokens.token_ids: ${unknown} is not a token id; the vocabulary has ${vocabSize} tokens`;
  throw new MeshError('INVALID_REQUEST', message, { param: 'prompt.tokens.token_ids' });
}

/**
 * Returns how many of `numTokens` tokens to keep: `maxPromptTokens`, or, at -1, as many as leave
 * room for the completion.
 */
function keptLength(
  numTokens: number,
  maxPromptTokens: number | undefined,
  limits: LengthLimits & { readonly maxTokens: number | undefined },
): number {
  if (maxPromptTokens === undefined) return numTokens;
  const { maxModelLen, numCacheTokens, maxTokens = 1 } = limits;
  if (maxPromptTokens === -1) {
    const most = Math.min(maxModelLen - maxTokens, numCacheTokens - Math.max(0, maxTokens - 1));
    return Math.min(numTokens, Math.max(1, most));
  }
  if (maxPromptTokens >= 1 && maxPromptTokens <= maxModelLen) {
    return Math.min(numTokens, maxPromptTokens);
  }
  throw new MeshError(
    'INVALID_REQUEST',
    `prompt.max_prompt_tokens: got ${maxPromptTokens}, allowed is -1 or 1 to ${maxModelLen}`,
    { param: 'prompt.max_prompt_tokens' },
  );
}

function checkLength(
  prompt: ExpandedPrompt,
  shapes: readonly ItemShape[],
  limits: LengthLimits & { readonly maxTokens: number | undefined },
): void {
  const { maxModelLen, numCacheTokens, blockSize } = limits;
  const numTokens = prompt.tokenIds.length;
  const spare = { prompt, shapes, excess: numTokens + 1 - Math.min(maxModelLen, numCacheTokens) };
  checkTokens(numTokens, limits, { share: () => mediaShare(spare) });
  if (numTokens <= numCacheTokens) return;
  throw new MeshError(
    'REQUEST_EXCEEDS_KV_CACHE',
    `the prompt has ${numTokens} tokens, which need ${Math.ceil(numTokens / blockSize)} blocks of KV cache; this instance has ${numCacheTokens / blockSize}, ${numCacheTokens} tokens${mediaShare(spare)}. ${contextLength(numCacheTokens)} there; shorten the prompt`,
    { param: 'prompt' },
  );
}

/** Refuses a prompt of at least `numTokens` tokens if it leaves no room for a completion. */
function checkTokens(
  numTokens: number,
  { maxModelLen, maxTokens }: Pick<PreparationOptions, 'maxModelLen' | 'maxTokens'>,
  { share = () => '', isWhole = true },
): void {
  const numLeast = numTokens + (maxTokens === 0 ? 0 : 1);
  if (numLeast <= maxModelLen) return;
  const overflow = { maxModelLen, numPromptTokens: numTokens, isWhole, maxTokens, share: share() };
  throw contextOverflow({ ...overflow, param: 'prompt' });
}

/**
 * Says how many tokens of a prompt that is `excess` tokens too long are media, and how much audio
 * fits.
 */
function mediaShare(spare: {
  readonly prompt: ExpandedPrompt;
  readonly shapes: readonly ItemShape[];
  readonly excess: number;
}): string {
  const { prompt, shapes, excess } = spare;
  const [numImage, numAudio] = [
    countMediaTokens(prompt, 'image'),
    countMediaTokens(prompt, 'audio'),
  ];
  const images = numImage === 0 ? '' : `; images take ${numImage} tokens`;
  if (numAudio === 0) return images;
  const audioMs = audioDurationMs(prompt, shapes);
  const fittingMs = (audioMs * Math.max(0, numAudio - excess)) / numAudio;
  const [seconds, fitting] = [audioMs, fittingMs].map((ms) => (ms / 1000).toFixed(1));
  return `${images}; ${seconds} s of audio take ${numAudio} tokens, ${fitting} s would fit`;
}
