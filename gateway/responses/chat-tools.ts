import { refusal } from '#gateway/openai/request/refusal.ts';
import { quoted } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import type { RepeatedTools } from './response-form.ts';

type Json = Readonly<Record<string, unknown>>;

/** Tools and the choice among them as a chat has them, and the client's path for each path in them. */
export interface ChatTools {
  readonly fields: Json;
  readonly names: ReadonlyMap<string, string>;
  /** What the answer repeats: no tool that is not in the prompt, which bounds their size. */
  readonly repeated: RepeatedTools;
}

/** A function, and the client's path of it. */
interface PlacedTool {
  readonly called: Json;
  readonly name: unknown;
  readonly at: string;
}

/**
 * Writes flat tools as those of a chat. Of `allowed_tools` the others are left out of the prompt, so
 * that none of them can be called.
 */
export function chatTools(tools: readonly unknown[] | undefined, choice: unknown): ChatTools {
  const given = (tools ?? []).map((tool, i) => functionTool(tool, `tools[${i}]`));
  const allowed = allowedNames(choice, given);
  const taken = given.filter(({ name }) => allowed === undefined || allowed.has(String(name)));
  const names = new Map([['tool_choice.function', 'tool_choice']]);
  for (const [i, { at }] of taken.entries()) {
    names.set(`tools[${i}]`, at).set(`tools[${i}].function`, at);
  }
  const fields = {
    tools:
      tools === undefined
        ? undefined
        : taken.map(({ called }) => ({ type: 'function', function: called })),
    tool_choice: chatChoice(choice),
  };
  const shown = choice === 'none' ? [] : taken;
  const repeated = {
    tools: shown.map(({ called }) => ({ type: 'function', ...called })),
    toolChoice: repeatedChoice(choice, allowed),
  };
  return { fields, names, repeated };
}

function functionTool(tool: unknown, at: string): PlacedTool {
  if (!isRecord(tool)) throw refusal(at, 'an object with type and name', tool);
  const { type, name, description, parameters, strict } = tool;
  if (type !== 'function') {
    if (typeof type !== 'string') throw refusal(`${at}.type`, '"function"', type);
    const message = `${at}.type: ${quoted(type)} tools are not run by this server, only "function" is accepted`;
    throw new MeshError('INVALID_REQUEST', message, { param: `${at}.type` });
  }
  return { called: { name, description, parameters, strict }, name, at };
}

/** Returns the names that `allowed_tools` lists; undefined if the choice is another. */
function allowedNames(
  choice: unknown,
  given: readonly PlacedTool[],
): ReadonlySet<string> | undefined {
  if (!isRecord(choice) || choice['type'] !== 'allowed_tools') return undefined;
  const at = 'tool_choice.tools';
  const { tools } = choice;
  if (!Array.isArray(tools) || tools.length === 0) {
    throw refusal(at, 'a list of at least one function', tools);
  }
  const known = new Set(given.map(({ name }) => name));
  return new Set(tools.map((one: unknown, i) => knownName(one, known, `${at}[${i}]`)));
}

function knownName(one: unknown, known: ReadonlySet<unknown>, at: string): string {
  if (!isRecord(one) || one['type'] !== 'function') {
    throw refusal(at, 'an object with the type "function" and a name', one);
  }
  const { name } = one;
  if (typeof name !== 'string') throw refusal(`${at}.name`, 'a text', name);
  if (known.has(name)) return name;
  const message = `${at}.name: there is no tool of the name ${quoted(name)}`;
  throw new MeshError('INVALID_REQUEST', message, { param: `${at}.name` });
}

/** Writes a choice without fields that have no effect; one that the chat refuses may be anything. */
function repeatedChoice(
  choice: unknown,
  allowed: ReadonlySet<string> | undefined,
): RepeatedTools['toolChoice'] {
  if (typeof choice === 'string') return choice;
  if (!isRecord(choice)) return 'auto';
  const { type, mode, name } = choice;
  if (allowed === undefined) return { type, name };
  return { type, mode, tools: [...allowed].map((one) => ({ type: 'function', name: one })) };
}

const CHOICES = 'one of function, allowed_tools';

/** Writes the choice; the chat judges what is no object. */
function chatChoice(choice: unknown): unknown {
  if (!isRecord(choice)) return choice;
  const { type, name, mode } = choice;
  if (type === 'function') return { type, function: { name } };
  if (type !== 'allowed_tools') throw refusal('tool_choice.type', CHOICES, type);
  if (mode === 'auto' || mode === 'required') return mode;
  throw refusal('tool_choice.mode', 'one of auto, required', mode);
}
