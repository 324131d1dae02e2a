import type { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import { LimitReached } from '#backbone/template/scope.ts';
import { Text } from '#backbone/template/text.ts';
import { MeshError } from '#mesh/errors.ts';
import type { ChatTemplate, RenderOptions } from './chat-template.ts';
import { RenderThread } from './render-thread.ts';
import { unreadArgs } from './template-args.ts';
import type { TemplateMessage } from './template-message.ts';
import { type ContentTokens, TextCutter } from './text-pieces.ts';
import { Turns } from './turns.ts';

/** Characters of a conversation that are rendered on the event loop: some tens of microseconds. */
const MAX_INLINE_CHARS = 65_536;

/** Time that a rendering may hold the event loop before another thread takes it over. */
const MAX_INLINE_MS = 50;

/** Characters that are encoded without a turn: a millisecond or two of another thread. */
const MAX_SHORT_CHARS = 1024;

/**
 * Texts of one turn that are encoded at once: half of the threads that Node has for such work, so
 * that short texts find one that is free.
 */
const MAX_ONE_TURN_TEXTS = 2;

/** Characters, and pieces, that are encoded in one turn. */
const TURN_CHARS = 32_768;
const TURN_PIECES = 512;

export interface DeskOptions {
  readonly contentTokens: ContentTokens;
  /** Time that reading a prompt may take, milliseconds. */
  readonly timeoutMs: number;
  /** Most large prompts that wait for their turn. */
  readonly maxWaiting: number;
  readonly now?: () => number;
  /** Called once for each argument of requests that the template does not read. */
  readonly onUnreadArg?: (name: string) => void;
}

/** Most names of unread arguments that are told of: clients choose them. */
const MAX_UNREAD_NAMES = 32;

/** Who asks for a prompt, and how long it may be. */
export interface DeskCall {
  /** Name of the client, between which large prompts take turns. */
  readonly client: string;
  readonly signal: AbortSignal;
  /** Encoding ends when it knows that there are more tokens; undefined: it goes on to the end. */
  readonly maxTokens?: number | undefined;
}

/** The ids of a text, maybe not all of them. */
export interface EncodedText {
  readonly tokenIds: readonly number[];
  /** False if encoding ended because there are more than `maxTokens`. */
  readonly isWhole: boolean;
}

/**
 * Renders and encodes prompts. A small one is rendered at once, and encoded in one turn that clients
 * take, or without if it is short; a large one in another thread, in pieces that clients take turns
 * with, until its time is over.
 */
export class PromptDesk {
  readonly #tokenizer: Tokenizer;
  readonly #template: ChatTemplate | null;
  readonly #options: DeskOptions;
  readonly #thread: RenderThread | undefined;
  readonly #cutter: TextCutter;
  readonly #renderTurns: Turns;
  readonly #encodeTurns: Turns;
  readonly #oneTurns: Turns;
  readonly #now: () => number;
  readonly #unreadArgs = new Set<string>();

  constructor(tokenizer: Tokenizer, template: ChatTemplate | null, options: DeskOptions) {
    const { contentTokens, maxWaiting, now = () => performance.now() } = options;
    this.#tokenizer = tokenizer;
    this.#template = template;
    this.#options = options;
    this.#thread = template === null ? undefined : new RenderThread(template.source);
    this.#cutter = new TextCutter(tokenizer.vocabulary.addedTokens, contentTokens);
    this.#renderTurns = new Turns({ maxAtOnce: 1, maxWaiting });
    this.#encodeTurns = new Turns({ maxAtOnce: 1, maxWaiting });
    // As many requests as may be read have such a text, so that none is refused for it.
    this.#oneTurns = new Turns({ maxAtOnce: MAX_ONE_TURN_TEXTS, maxWaiting: Infinity });
    this.#now = now;
  }

  /** Renders and encodes a conversation. */
  async readChat(
    messages: readonly TemplateMessage[],
    options: RenderOptions,
    call: DeskCall,
  ): Promise<EncodedText> {
    this.#noteUnread(options.args);
    return this.#encode(await this.#render(messages, options, call), call);
  }

  /** Encodes a text as it stands; the tokenizer's own special tokens are added if asked for. */
  async readText(
    text: string,
    { addSpecialTokens }: { readonly addSpecialTokens: boolean },
    call: DeskCall,
  ): Promise<EncodedText> {
    const encoded = await this.#encode(Text.of(text), call);
    if (!addSpecialTokens) return encoded;
    const { before, after } = this.#tokenizer.around;
    return { ...encoded, tokenIds: [...before, ...encoded.tokenIds, ...after] };
  }

  close(): void {
    this.#thread?.close();
  }

  #noteUnread(args: RenderOptions['args']): void {
    for (const name of unreadArgs(args, (one) => this.#template?.reads(one) ?? false)) {
      if (this.#unreadArgs.has(name) || this.#unreadArgs.size >= MAX_UNREAD_NAMES) continue;
      this.#unreadArgs.add(name);
      this.#options.onUnreadArg?.(name);
    }
  }

  /** Works with a signal that aborts when the call's does, or when the time is over. */
  async #inTime<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { timeoutMs } = this.#options;
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(tooSlow(timeoutMs)), timeoutMs);
    try {
      return await work(AbortSignal.any([signal, over.signal]));
    } finally {
      clearTimeout(timer);
    }
  }

  async #render(
    messages: readonly TemplateMessage[],
    options: RenderOptions,
    { client, signal }: DeskCall,
  ): Promise<Text> {
    const [template, thread] = [this.#template, this.#thread];
    if (template === null || thread === undefined) throw noTemplate();
    const toolChars = options.tools.reduce((sum, { length }) => sum + length, 0);
    if (hasAtMost(messages, MAX_INLINE_CHARS - toolChars)) {
      try {
        const deadlineMs = this.#now() + MAX_INLINE_MS;
        return template.render(messages, options, { deadlineMs, now: this.#now });
      } catch (error: unknown) {
        if (!(error instanceof LimitReached)) throw error;
      }
    }
    return this.#inTime(signal, (timed) =>
      this.#renderTurns.take(client, timed, () => thread.render({ messages, options }, timed)),
    );
  }

  async #encode(text: Text, call: DeskCall): Promise<EncodedText> {
    const { length } = text.value;
    if (length > TURN_CHARS) return this.#encodeInTurns(text, call);
    if (length <= MAX_SHORT_CHARS) return this.#encodeWhole(text);
    return this.#oneTurns.take(call.client, call.signal, () => this.#encodeWhole(text));
  }

  async #encodeWhole(text: Text): Promise<EncodedText> {
    const tokenIds: number[] = [];
    for (const batch of batches(this.#cutter.pieces(text))) {
      append(tokenIds, await this.#tokenizer.encodeEach(batch));
    }
    return { tokenIds, isWhole: true };
  }

  #encodeInTurns(text: Text, { client, signal, maxTokens }: DeskCall): Promise<EncodedText> {
    return this.#inTime(signal, async (timed) => {
      const tokenIds: number[] = [];
      for (const batch of batches(this.#cutter.pieces(text))) {
        const encode = () => this.#tokenizer.encodeEach(batch);
        append(tokenIds, await this.#encodeTurns.take(client, timed, encode));
        const isBeyond = maxTokens !== undefined && tokenIds.length > maxTokens;
        if (isBeyond) return { tokenIds, isWhole: false };
      }
      return { tokenIds, isWhole: true };
    });
  }
}

/** Appends ids one by one: as arguments of one call they would overflow the stack. */
function append(list: number[], tokenIds: readonly number[]): void {
  for (const id of tokenIds) list.push(id);
}

/** Groups pieces so that a group is worth a call, and not longer than a turn. */
function* batches(pieces: Iterable<string>): Generator<string[]> {
  let batch: string[] = [];
  let numChars = 0;
  for (const piece of pieces) {
    batch.push(piece);
    numChars += piece.length;
    if (numChars < TURN_CHARS && batch.length < TURN_PIECES) continue;
    yield batch;
    [batch, numChars] = [[], 0];
  }
  if (batch.length > 0) yield batch;
}

/** Tells whether a conversation is small; what a message costs beside its text is counted too. */
function hasAtMost(messages: readonly TemplateMessage[], maxChars: number): boolean {
  const perPart = 16;
  let left = maxChars;
  for (const { content, reasoning = '', toolCalls = [] } of messages) {
    left -= perPart + reasoning.length;
    if (typeof content === 'string') left -= content.length;
    else {
      for (const part of content) left -= perPart + (part.type === 'text' ? part.text.length : 0);
    }
    for (const call of toolCalls) left -= perPart + call.arguments.length;
    if (left < 0) return false;
  }
  return true;
}

export function noTemplate(): MeshError {
  const message =
    'the model has no chat template; start it with --chat-template or send a text prompt';
  return new MeshError('INVALID_REQUEST', message, { param: 'prompt.chat.messages' });
}

function tooSlow(timeoutMs: number): MeshError {
  const message = `the prompt could not be rendered and tokenized within ${timeoutMs / 1000} s (key "prompt-timeout-s"); shorten it`;
  return new MeshError('DEADLINE_EXCEEDED', message, { param: 'prompt' });
}
