import { Text } from '#backbone/template/text.ts';
import type { Value } from '#backbone/template/value.ts';
import { MeshError } from '#mesh/errors.ts';

/** Arguments that a request may pass to the template, by type. */
const ALLOWED_ARGS = {
  enable_thinking: 'boolean',
  clear_thinking: 'boolean',
  thinking: 'boolean',
  add_nothink: 'boolean',
  reasoning_effort: 'string',
} as const;

/** Short, because a template may print a text as often as it likes. */
const MAX_ARG_CHARS = 64;

/** Returns the arguments that a template gets; refuses those with a value of another type. */
export function allowedArgs(args: Readonly<Record<string, unknown>>): Map<string, Value> {
  const given = new Map<string, Value>();
  for (const [name, type] of Object.entries(ALLOWED_ARGS)) {
    const value = args[name];
    if (value === undefined || value === null) continue;
    if (typeof value === 'boolean' && type === 'boolean') given.set(name, value);
    else if (typeof value === 'string' && type === 'string' && value.length <= MAX_ARG_CHARS) {
      given.set(name, Text.of(value, 'content'));
    } else throw refusal(name, type);
  }
  return given;
}

function refusal(name: string, type: 'boolean' | 'string'): MeshError {
  const allowed =
    type === 'boolean' ? 'true or false' : `a text of at most ${MAX_ARG_CHARS} characters`;
  const param = `prompt.chat.template_args.${name}`;
  return new MeshError('INVALID_REQUEST', `${name} must be ${allowed}`, { param });
}

/**
 * Names the arguments of a request that change nothing: those that no template gets, and those
 * that this one does not read.
 */
export function unreadArgs(
  args: Readonly<Record<string, unknown>>,
  reads: (name: string) => boolean,
): string[] {
  const isRead = (name: string) => Object.hasOwn(ALLOWED_ARGS, name) && reads(name);
  return Object.keys(args).filter((name) => !isRead(name));
}
