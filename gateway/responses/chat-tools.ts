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

/** Writes flat tools, and the choice among them, as those of a chat. */
export function chatTools(tools: readonly unknown[] | undefined, choice: unknown): ChatTools {
  const names = new Map([
    ['tool_choice.function', 'tool_choice'],
    ['tool_choice.allowed_tools', 'tool_choice'],
  ]);
  const functions = tools?.map((tool, i) => {
    const at = `tools[${i}]`;
    names.set(`${at}.function`, at);
    return functionOf(tool, at);
  });
  const chosen = toolChoice(choice, names);
  const written = functions?.map((called) => ({ type: 'function', function: called }));
  const shown = choice === 'none' || functions === undefined ? [] : functions;
  return {
    fields: { tools: written, tool_choice: chosen.written },
    names,
    repeated: {
      tools: shown.map((called) => ({ type: 'function', ...called })),
      toolChoice: chosen.repeated,
    },
  };
}

function functionOf(tool: unknown, at: string): Json {
  if (!isRecord(tool)) throw refusal(at, 'an object with type and name', tool);
  const { type, name, description, parameters, strict } = tool;
  if (type === 'function') return { name, description, parameters, strict };
  if (typeof type !== 'string') throw refusal(`${at}.type`, '"function"', type);
  const message = `${at}.type: ${quoted(type)} tools are not run by this server, only "function" is accepted`;
  throw new MeshError('INVALID_REQUEST', message, { param: `${at}.type` });
}

/** A choice as a chat has it, and as the answer repeats it: without fields that have no effect. */
interface WrittenChoice {
  readonly written: unknown;
  readonly repeated: RepeatedTools['toolChoice'];
}

/** Writes a choice; the chat judges it. */
function toolChoice(choice: unknown, names: Map<string, string>): WrittenChoice {
  if (!isRecord(choice)) {
    return { written: choice, repeated: typeof choice === 'string' ? choice : 'auto' };
  }
  const { type, name, mode, tools } = choice;
  if (type === 'function') {
    return { written: { type, function: { name } }, repeated: { type, name } };
  }
  if (type !== 'allowed_tools') {
    throw refusal('tool_choice.type', 'one of function, allowed_tools', type);
  }
  const functions = Array.isArray(tools) ? tools.map(allowedFunction) : tools;
  if (Array.isArray(functions)) {
    for (const i of functions.keys()) {
      names.set(`tool_choice.allowed_tools.tools[${i}].function`, `tool_choice.tools[${i}]`);
    }
  }
  const repeated = Array.isArray(tools) ? tools.map(flatFunction) : [];
  return {
    written: { type, allowed_tools: { mode, tools: functions } },
    repeated: { type, mode, tools: repeated },
  };
}

/** Writes a function of `allowed_tools` as a chat has it; one that is none stays as it is. */
function allowedFunction(one: unknown): unknown {
  return isRecord(one) ? { type: one['type'], function: { name: one['name'] } } : one;
}

function flatFunction(one: unknown): unknown {
  return isRecord(one) ? { type: one['type'], name: one['name'] } : one;
}
