import { refusal } from '#gateway/openai/request/refusal.ts';
import { isRecord } from '#mesh/json-value.ts';

type Json = Readonly<Record<string, unknown>>;

/** Tools as OpenAI's API has them, and the client's path for each path in them. */
export interface ChatTools {
  readonly fields: Json;
  readonly names: ReadonlyMap<string, string>;
}

/** Writes Anthropic's tools, and the choice among them, as those of a chat. */
export function chatTools(tools: readonly unknown[] | undefined, choice: unknown): ChatTools {
  const names = new Map([['tool_choice.function', 'tool_choice']]);
  const written = tools?.map((tool, i) => {
    const at = `tools[${i}]`;
    names.set(`${at}.function`, at).set(`${at}.function.parameters`, `${at}.input_schema`);
    return chatTool(tool, at);
  });
  return { fields: { tools: written, ...(choice === undefined ? {} : chatChoice(choice)) }, names };
}

function chatTool(tool: unknown, at: string): Json {
  if (!isRecord(tool)) throw refusal(at, 'an object with name and input_schema', tool);
  const { type = 'custom', name, description, input_schema: parameters, strict } = tool;
  // The others run on Anthropic's own servers.
  if (type !== 'custom' && type !== null) throw refusal(`${at}.type`, '"custom"', type);
  if (!isRecord(parameters)) throw refusal(`${at}.input_schema`, 'a schema', parameters);
  const others = {
    ...(description === undefined ? {} : { description }),
    ...(strict === undefined ? {} : { strict }),
  };
  return { type: 'function', function: { name, ...others, parameters } };
}

function chatChoice(choice: unknown): Json {
  if (!isRecord(choice)) throw refusal('tool_choice', 'an object with a type', choice);
  const { type, name, disable_parallel_tool_use: isSingle } = choice;
  const parallel = isSingle === true ? { parallel_tool_calls: false } : {};
  switch (type) {
    case 'auto':
    case 'none':
      return { tool_choice: type, ...parallel };
    case 'any':
      return { tool_choice: 'required', ...parallel };
    case 'tool':
      return { tool_choice: { type: 'function', function: { name } }, ...parallel };
    default:
      throw refusal('tool_choice.type', 'one of auto, any, tool, none', type);
  }
}
