import { parse, tokenize } from '@huggingface/jinja';

/** A part of a message; a media item is only named by its kind. */
export type TemplatePart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image' | 'audio' };

/** A message in the form that templates read. */
export interface TemplateMessage {
  readonly role: string;
  readonly content: string | readonly TemplatePart[];
  readonly metadata?: string;
}

/** How a message's parts reach the template: as a list, or flattened to one string. */
export type ContentFormat = 'openai' | 'string';

/** Text that stands for an item if the template sees only strings. */
const PLACEHOLDERS = {
  image: '<|begin_of_image|><|image|><|end_of_image|>',
  audio: '<|begin_of_audio|><|audio|><|end_of_audio|>',
} as const;

/**
 * Returns the list form if the template loops over a message's content; the same test as vLLM's.
 */
export function detectContentFormat(template: string): ContentFormat {
  const program = parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true }));
  const aliases = new Set<string>();
  let isLooped = false;
  visit(program, (node) => {
    const { type, assignee, value, iterable } = node;
    if (type === 'Set' && isNode(assignee) && mentionsContent(value, aliases)) {
      if (typeof assignee['value'] === 'string') aliases.add(assignee['value']);
    }
    if (type === 'For' && mentionsContent(iterable, aliases)) isLooped = true;
  });
  return isLooped ? 'openai' : 'string';
}

/** Joins placeholders, then texts, by newlines, as vLLM's string mode does. */
export function flattenContent(message: TemplateMessage): TemplateMessage {
  if (typeof message.content === 'string') return message;
  const texts = message.content.flatMap((part) => (part.type === 'text' ? [part.text] : []));
  const placeholders = message.content.flatMap((part) => placeholderOf(part));
  return { ...message, content: [...placeholders, ...texts].join('\n') };
}

function placeholderOf(part: TemplatePart): string[] {
  return part.type === 'text' ? [] : [PLACEHOLDERS[part.type]];
}

type Node = Readonly<Record<string, unknown>>;

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function visit(value: unknown, enter: (node: Node) => void): void {
  if (Array.isArray(value)) for (const one of value) visit(one, enter);
  if (!isNode(value)) return;
  enter(value);
  for (const child of Object.values(value)) visit(child, enter);
}

/**
 * Tells whether the expression is `x.content`, `x['content']` or a variable set to one, filtered or
 * not.
 */
function mentionsContent(expression: unknown, aliases: ReadonlySet<string>): boolean {
  if (!isNode(expression)) return false;
  const { type, property, operand, object, value } = expression;
  switch (type) {
    case 'MemberExpression':
      return (
        (isNode(property) && property['value'] === 'content') || mentionsContent(object, aliases)
      );
    case 'FilterExpression':
      return mentionsContent(operand, aliases);
    case 'Identifier':
      return typeof value === 'string' && aliases.has(value);
    default:
      return false;
  }
}
