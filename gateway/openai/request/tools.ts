import { type Static, Type } from 'typebox';
import { quoted } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import { MAX_TOOLS, readToolFunctions } from '#mesh/prompt/tool-function.ts';
import type { ToolChoice } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { Tool } from '#protos/autoglm/llm/v1/prompt.ts';
import { flagField } from './fields.ts';
import { refusal } from './refusal.ts';

/** The tools of a conversation, the same for completions and `/tokenize`. */
export const toolListFields = {
  tools: Type.Optional(
    Type.Array(Type.Unknown(), {
      maxItems: MAX_TOOLS,
      description: `a list of at most ${MAX_TOOLS} tools`,
    }),
  ),
} as const;

const CHOICES = '"auto", "none", "required" or an object that names functions';

/** Fields that say which tools there are and how they are called. */
export const toolFields = {
  ...toolListFields,
  tool_choice: Type.Optional(Type.Unknown({ description: CHOICES })),
  parallel_tool_calls: flagField(),
} as const;

type ToolRequest = Static<ReturnType<typeof Type.Object<typeof toolFields>>>;

/** Tools of a request to the mesh, and how they are to be called. */
export interface RequestedTools {
  readonly tools: Tool[];
  readonly toolChoice: ToolChoice | undefined;
}

/** Translates `tools`; a refusal names the tool. */
export function toolList(tools: readonly unknown[] = []): Tool[] {
  return namedTools(tools).map(({ tool }) => tool);
}

/** Translates the tools of a chat. Without any, and with `tool_choice: "none"`, there are none. */
export function requestedTools(request: ToolRequest): RequestedTools {
  const named = namedTools(request.tools ?? []);
  const choice = toolChoice(request.tool_choice, new Set(named.map(({ name }) => name)));
  if (choice === 'none' || named.length === 0) return { tools: [], toolChoice: undefined };
  const singleCall = request.parallel_tool_calls === false;
  return { tools: named.map(({ tool }) => tool), toolChoice: { ...choice, singleCall } };
}

function namedTools(tools: readonly unknown[]): { readonly name: string; readonly tool: Tool }[] {
  const written = tools.map((one, i) => {
    const value = calledFunction(one, `tools[${i}]`);
    return { value, json: JSON.stringify(value), at: `tools[${i}].function` };
  });
  return readToolFunctions(written).map(({ name }, i) => ({
    name,
    tool: { functionJson: written[i]?.json ?? '' },
  }));
}

function calledFunction(tool: unknown, at: string): Readonly<Record<string, unknown>> {
  if (!isRecord(tool)) throw refusal(at, 'an object with type and function', tool);
  const { type, function: value } = tool;
  if (type !== 'function') throw refusal(`${at}.type`, '"function"', type);
  if (!isRecord(value)) throw refusal(`${at}.function`, 'an object with a name', value);
  return value;
}

/** Reads `tool_choice`; only a choice that demands a call needs tools. */
function toolChoice(
  choice: unknown,
  names: ReadonlySet<string>,
): 'none' | Omit<ToolChoice, 'singleCall'> {
  const any = { required: false, name: undefined, allowedNames: [] };
  if (choice === 'none') return 'none';
  if (choice === undefined || choice === 'auto') return any;
  if (choice !== 'required' && !isRecord(choice)) throw refusal('tool_choice', CHOICES, choice);
  if (names.size === 0) {
    const message = 'tool_choice: a call is demanded, and there are no tools';
    throw new MeshError('INVALID_REQUEST', message, { param: 'tool_choice' });
  }
  if (choice === 'required') return { ...any, required: true };
  if (choice['type'] === 'allowed_tools') return { ...any, ...allowedTools(choice, names) };
  return { ...any, required: true, name: chosenName(choice, 'tool_choice', names) };
}

/** Reads a choice among some of the tools. */
function allowedTools(
  choice: Readonly<Record<string, unknown>>,
  names: ReadonlySet<string>,
): Pick<ToolChoice, 'required' | 'allowedNames'> {
  const at = 'tool_choice.allowed_tools';
  const { allowed_tools: allowed } = choice;
  if (!isRecord(allowed)) throw refusal(at, 'an object with mode and tools', allowed);
  const { mode, tools } = allowed;
  if (mode !== 'auto' && mode !== 'required')
    throw refusal(`${at}.mode`, '"auto" or "required"', mode);
  if (!Array.isArray(tools) || tools.length === 0 || tools.length > MAX_TOOLS) {
    throw refusal(`${at}.tools`, `a list of 1 to ${MAX_TOOLS} tools`, tools);
  }
  const allowedNames = tools.map((tool: unknown, i) => {
    const place = `${at}.tools[${i}]`;
    if (!isRecord(tool)) throw refusal(place, 'an object with type and function', tool);
    return chosenName(tool, place, names);
  });
  return { required: mode === 'required', allowedNames: [...new Set(allowedNames)] };
}

function chosenName(
  { type, function: chosen }: Readonly<Record<string, unknown>>,
  place: string,
  names: ReadonlySet<string>,
): string {
  if (type !== 'function') throw refusal(`${place}.type`, '"function"', type);
  if (!isRecord(chosen)) throw refusal(`${place}.function`, 'an object with a name', chosen);
  const { name } = chosen;
  const at = `${place}.function.name`;
  if (typeof name !== 'string') throw refusal(at, 'a text', name);
  if (names.has(name)) return name;
  const message = `${at}: there is no tool of the name ${quoted(name)}`;
  throw new MeshError('INVALID_REQUEST', message, { param: at });
}
