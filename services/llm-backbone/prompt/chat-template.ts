import { randomUUID } from 'node:crypto';
import { LimitReached, type RenderLimits } from '#backbone/template/scope.ts';
import { Template } from '#backbone/template/template.ts';
import { Text } from '#backbone/template/text.ts';
import { List, type Value } from '#backbone/template/value.ts';
import { excerpt } from '#mesh/client-text.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import { asObservations, type CallHistory, callHistoryOf, isOfCalls } from './call-history.ts';
import { type ContentFormat, detectContentFormat } from './content-format.ts';
import { allowedArgs } from './template-args.ts';
import { messageValue, type TemplateMessage, toolValue } from './template-message.ts';

/** Most characters of a rendered prompt; a longer one means a faulty template or request. */
const MAX_RENDERED_CHARS = 16 * 1024 * 1024;

/**
 * A text that nobody can write. Its last space shows whether a template keeps spaces at the end of
 * a text.
 */
const MARK = `\uE000${randomUUID()}\uE000 `;

export interface RenderOptions {
  readonly addGenerationPrompt: boolean;
  /** Leaves the last message open, so that the model continues it. */
  readonly continueFinalMessage: boolean;
  readonly args: Readonly<Record<string, unknown>>;
  /** Functions of the tools, each a JSON object. */
  readonly tools: readonly string[];
}

export interface ChatTemplateSource {
  readonly text: string;
  /** Path the template was read from, for messages. */
  readonly path: string;
  /** `bos_token`, `eos_token` and the like, which templates may print. */
  readonly specialTokens: Readonly<Record<string, string>>;
  readonly contentFormat: ContentFormat | 'auto';
}

/** The time a rendering has. */
export type RenderTime = Pick<RenderLimits, 'deadlineMs' | 'now'>;

const NO_DEADLINE: RenderTime = { deadlineMs: Number.POSITIVE_INFINITY, now: () => 0 };

/** Renders conversations with a checkpoint's chat template. */
export class ChatTemplate {
  readonly contentFormat: ContentFormat;
  readonly source: ChatTemplateSource;
  readonly #template: Template;
  readonly #callHistory: CallHistory;

  constructor(source: ChatTemplateSource) {
    try {
      this.#template = new Template(source.text);
      const { contentFormat } = source;
      this.contentFormat =
        contentFormat === 'auto' ? detectContentFormat(source.text) : contentFormat;
    } catch (cause: unknown) {
      const message = `${source.path}: not a Jinja template that can be used: ${errorMessage(cause)}`;
      throw new MeshError('INVALID_REQUEST', message, { param: 'chat-template', cause });
    }
    this.source = source;
    this.#callHistory = callHistoryOf(source.text);
  }

  /** Tells whether the template reads a variable that the request may set. */
  reads(name: string): boolean {
    return this.#template.variables.has(name);
  }

  /** Renders a conversation; throws LimitReached when its time is over. */
  render(
    messages: readonly TemplateMessage[],
    options: RenderOptions,
    time: RenderTime = NO_DEADLINE,
  ): Text {
    if (options.addGenerationPrompt && options.continueFinalMessage) {
      const message =
        'add_generation_prompt and continue_final_message exclude each other; set one to false';
      throw new MeshError('INVALID_REQUEST', message, {
        param: 'prompt.chat.continue_final_message',
      });
    }
    const shown = options.continueFinalMessage ? marked(messages) : messages;
    const rendered = this.#run(this.#variables(shown, options), time);
    return options.continueFinalMessage ? cutAtMark(rendered) : rendered;
  }

  #variables(messages: readonly TemplateMessage[], options: RenderOptions): Map<string, Value> {
    const tokens = Object.entries(this.source.specialTokens).map(
      ([name, token]) => [name, Text.of(token)] as const,
    );
    return new Map<string, Value>([
      // transformers hands over both, even without a value.
      ['tools', this.#tools(options.tools)],
      ['documents', null],
      ...tokens,
      ...allowedArgs(options.args),
      ['messages', new List(messages.flatMap((one, i) => this.#message(one, i)))],
      ['add_generation_prompt', options.addGenerationPrompt],
    ]);
  }

  #tools(tools: readonly string[]): Value {
    if (tools.length === 0) return null;
    if (!this.reads('tools')) {
      const message =
        "the model's chat template shows no tools; start the model with one that does (--chat-template), or ask without tools";
      throw new MeshError('INVALID_REQUEST', message, { param: 'prompt.chat.tools' });
    }
    return new List(tools.map((one, i) => this.#tool(one, i)));
  }

  #tool(functionJson: string, index: number): Value {
    try {
      return toolValue(functionJson);
    } catch (cause: unknown) {
      throw notJson(`prompt.chat.tools[${index}].function_json`, 'a function', cause);
    }
  }

  /** Returns the values of a message: one, or several if it has calls that the template shows apart. */
  #message(message: TemplateMessage, index: number): Value[] {
    const shown = isOfCalls(message) ? this.#withCalls(message, index) : [message];
    try {
      return shown.map((one) => messageValue(one, this.contentFormat));
    } catch (cause: unknown) {
      throw notJson(`prompt.chat.messages[${index}].tool_calls`, 'the arguments of a call', cause);
    }
  }

  #withCalls(message: TemplateMessage, index: number): TemplateMessage[] {
    switch (this.#callHistory) {
      case 'messages':
        return [message];
      case 'observations':
        return asObservations(message);
      case 'none': {
        const param = `prompt.chat.messages[${index}]`;
        const text = `${param}: the model's chat template shows no calls of tools and no results; start the model with one that does (--chat-template)`;
        throw new MeshError('INVALID_REQUEST', text, { param });
      }
    }
  }

  #run(names: ReadonlyMap<string, Value>, time: RenderTime): Text {
    try {
      return this.#template.render(names, { ...time, maxChars: MAX_RENDERED_CHARS });
    } catch (cause: unknown) {
      if (cause instanceof LimitReached && cause.limit === 'time') throw cause;
      const message =
        cause instanceof LimitReached
          ? `the prompt has more than the ${MAX_RENDERED_CHARS} characters that are allowed`
          : `the model's chat template refuses these messages: ${excerpt(errorMessage(cause))}`;
      throw new MeshError('INVALID_REQUEST', message, { param: 'prompt.chat.messages', cause });
    }
  }
}

function notJson(param: string, what: string, cause: unknown): MeshError {
  const message = `${param}: ${what} must be JSON: ${excerpt(errorMessage(cause))}`;
  return new MeshError('INVALID_REQUEST', message, { param, cause });
}

/**
 * Puts the mark after the last message's text, as transformers does: the prompt ends at the mark in
 * the rendered text. The template may print the text itself elsewhere, or not at all.
 */
function marked(messages: readonly TemplateMessage[]): TemplateMessage[] {
  const last = messages.at(-1);
  if (last === undefined) throw nothingToContinue();
  return [...messages.slice(0, -1), { ...last, content: markedContent(last.content) }];
}

function markedContent(content: TemplateMessage['content']): TemplateMessage['content'] {
  const parts = typeof content === 'string' ? [{ type: 'text' as const, text: content }] : content;
  const index = parts.findLastIndex(({ type }) => type === 'text');
  const part = parts[index];
  if (part?.type !== 'text' || part.text.trim() === '') throw nothingToContinue();
  const text = part.text + MARK;
  return typeof content === 'string' ? text : parts.with(index, { type: 'text', text });
}

function cutAtMark(rendered: Text): Text {
  const at = rendered.value.lastIndexOf(MARK.trimEnd());
  if (at === -1) throw nothingToContinue();
  const isAsWritten = rendered.value.startsWith(MARK, at);
  // If the template trimmed the mark, it would have trimmed the text too.
  const end = isAsWritten ? at : rendered.value.slice(0, at).trimEnd().length;
  return rendered.slice(0, end);
}

function nothingToContinue(): MeshError {
  return new MeshError(
    'INVALID_REQUEST',
    'continue_final_message needs a last message with text that the template shows',
    { param: 'prompt.chat.continue_final_message' },
  );
}
