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

const CHOICES = '"auto", "none", "required" or an object that names a function';

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
): 'none' | Pick<ToolChoice, 'required' | 'name'> {
  if (choice === 'none') return 'none';
  if (choice === undefined || choice === 'auto') return { required: false, name: undefined };
  if (choice !== 'required' && !isRecord(choice)) throw refusal('tool_choice', CHOICES, choice);
  if (names.size === 0) {
    const message = 'tool_choice: a call is demanded, and there are no tools';
    throw new MeshError('INVALID_REQUEST', message, { param: 'tool_choice' });
  }
  if (choice === 'required') return { required: true, name: undefined };
  return { required: true, name: chosenName(choice, names) };
}

function chosenName(choice: Readonly<Record<string, unknown>>, names: ReadonlySet<string>): string {
  const { type, function: chosen } = choice;
  if (type !== 'function') throw refusal('tool_choice.type', '"function"', type);
  if (!isRecord(chosen)) throw refusal('tool_choice.function', 'an object with a name', chosen);
  const { name } = chosen;
  const at = 'tool_choice.function.name';
  if (typeof name !== 'string') throw refusal(at, 'a text', name);
  if (names.has(name)) return name;
  const message = `${at}: there is no tool of the name ${quoted(name)}`;
  throw new MeshError('INVALID_REQUEST', message, { param: at });
}
