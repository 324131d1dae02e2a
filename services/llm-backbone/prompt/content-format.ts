import { parse } from '@huggingface/jinja';
import { readTokens } from '#backbone/template/tokens.ts';

/** How a message's parts reach the template: as a list, or flattened to one string. */
export type ContentFormat = 'openai' | 'string';

/**
 * Returns the list form if the template loops over a message's content; the same test as vLLM's.
 */
export function detectContentFormat(template: string): ContentFormat {
  const program = parse(readTokens(template));
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
