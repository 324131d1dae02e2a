import { Template } from '@huggingface/jinja';
import { excerpt } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import {
  type ContentFormat,
  detectContentFormat,
  flattenContent,
  type TemplateMessage,
} from './content-format.ts';

/** Most characters of a rendered prompt; a longer one means a faulty template or request. */
const MAX_RENDERED_CHARS = 16 * 1024 * 1024;

/** Arguments that a request may pass to the template, by type; others are ignored, as vLLM does. */
const ALLOWED_ARGS = {
  enable_thinking: 'boolean',
  clear_thinking: 'boolean',
  reasoning_effort: 'string',
} as const;

/** Short, because a template may print a text as often as it likes. */
const MAX_ARG_CHARS = 64;

/**
 * A text that nobody writes. Its last space shows whether a template keeps spaces at the end of a
 * text.
 */
const MARK = '\uE000continue final message\uE000 ';

export interface RenderOptions {
  readonly addGenerationPrompt: boolean;
  /** Leaves the last message open, so that the model continues it. */
  readonly continueFinalMessage: boolean;
  readonly args: Readonly<Record<string, unknown>>;
}

export interface ChatTemplateSource {
  readonly text: string;
  /** Path the template was read from, for messages. */
  readonly path: string;
  /** `bos_token`, `eos_token` and the like, which templates may print. */
  readonly specialTokens: Readonly<Record<string, string>>;
  readonly contentFormat: ContentFormat | 'auto';
}

/** Renders conversations with a checkpoint's chat template. */
export class ChatTemplate {
  readonly contentFormat: ContentFormat;
  readonly #template: Template;
  readonly #specialTokens: Readonly<Record<string, string>>;

  constructor(source: ChatTemplateSource) {
    try {
      this.#template = new Template(source.text);
      const { contentFormat } = source;
      this.contentFormat =
        contentFormat === 'auto' ? detectContentFormat(source.text) : contentFormat;
    } catch (cause: unknown) {
      const message = `${source.path}: not a Jinja template: ${messageOf(cause)}`;
      throw new MeshError('INVALID_REQUEST', message, { param: 'chat-template', cause });
    }
    this.#specialTokens = source.specialTokens;
  }

  render(messages: readonly TemplateMessage[], options: RenderOptions): string {
    if (options.addGenerationPrompt && options.continueFinalMessage) {
      const message =
        'add_generation_prompt and continue_final_message exclude each other; set one to false';
      throw new MeshError('INVALID_REQUEST', message, {
        param: 'prompt.chat.continue_final_message',
      });
    }
    const given = options.continueFinalMessage ? marked(messages) : messages;
    const shown = this.contentFormat === 'string' ? given.map(flattenContent) : given;
    const rendered = this.#run({
      ...this.#specialTokens,
      ...allowedArgs(options.args),
      messages: shown,
      add_generation_prompt: options.addGenerationPrompt,
    });
    return options.continueFinalMessage ? cutAtMark(rendered) : rendered;
  }

  #run(context: Record<string, unknown>): string {
    let rendered: string;
    try {
      rendered = this.#template.render(context);
    } catch (cause: unknown) {
      const message = `the model's chat template refuses these messages: ${excerpt(messageOf(cause))}`;
      throw new MeshError('INVALID_REQUEST', message, { param: 'prompt.chat.messages', cause });
    }
    if (rendered.length <= MAX_RENDERED_CHARS) return rendered;
    throw new MeshError(
      'INVALID_REQUEST',
      `the prompt has ${rendered.length} characters, at most ${MAX_RENDERED_CHARS} are allowed`,
      { param: 'prompt.chat.messages' },
    );
  }
}

function allowedArgs(args: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const given = Object.entries(ALLOWED_ARGS).flatMap(([name, type]) => {
    const value = args[name];
    return value === undefined || value === null ? [] : [{ name, type, value }];
  });
  for (const { name, type, value } of given) {
    if (typeof value === type && String(value).length <= MAX_ARG_CHARS) continue;
    const allowed =
      type === 'boolean' ? 'true or false' : `a text of at most ${MAX_ARG_CHARS} characters`;
    const param = `prompt.chat.template_args.${name}`;
    throw new MeshError('INVALID_REQUEST', `${name} must be ${allowed}`, { param });
  }
  return Object.fromEntries(given.map(({ name, value }) => [name, value]));
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

function cutAtMark(rendered: string): string {
  const at = rendered.lastIndexOf(MARK.trimEnd());
  if (at === -1) throw nothingToContinue();
  const isAsWritten = rendered.startsWith(MARK, at);
  // If the template trimmed the mark, it would have trimmed the text too.
  return isAsWritten ? rendered.slice(0, at) : rendered.slice(0, at).trimEnd();
}

function nothingToContinue(): MeshError {
  return new MeshError(
    'INVALID_REQUEST',
    'continue_final_message needs a last message with text that the template shows',
    { param: 'prompt.chat.continue_final_message' },
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
