import { isRecord } from '#mesh/json-value.ts';
import type { ToolCall } from '#protos/autoglm/llm/v1/prompt.ts';
import { refusal } from './refusal.ts';

/** A message, with its role and its path. */
interface PlacedMessage {
  readonly role: string;
  readonly at: string;
}

/** Reads the calls of an earlier turn: `tool_calls`, or the `function_call` of older clients. */
export function toolCalls(
  message: Readonly<Record<string, unknown>>,
  { role, at }: PlacedMessage,
): ToolCall[] {
  const { tool_calls = null, function_call = null } = message;
  if (tool_calls !== null && !Array.isArray(tool_calls)) {
    throw refusal(`${at}.tool_calls`, 'a list of calls', tool_calls);
  }
  const calls = (tool_calls ?? []).map((call: unknown, i) =>
    toolCall(call, `${at}.tool_calls[${i}]`),
  );
  if (function_call !== null) {
    calls.push({ id: '', ...calledFunction(function_call, `${at}.function_call`) });
  }
  if (calls.length === 0 || role === 'assistant') return calls;
  const field = tool_calls === null ? 'function_call' : 'tool_calls';
  throw refusal(`${at}.${field}`, `absent in a message of role ${role}`, tool_calls);
}

function toolCall(call: unknown, at: string): ToolCall {
  if (!isRecord(call)) throw refusal(at, 'an object with id, type and function', call);
  const { id = null, type = 'function' } = call;
  if (type !== 'function') throw refusal(`${at}.type`, '"function"', type);
  if (id !== null && typeof id !== 'string') throw refusal(`${at}.id`, 'a text', id);
  return { id: id ?? '', ...calledFunction(call['function'], `${at}.function`) };
}

/** Reads name and arguments; arguments that are not a text are written as one. */
function calledFunction(value: unknown, at: string): Pick<ToolCall, 'name' | 'arguments'> {
  if (!isRecord(value)) throw refusal(at, 'an object with name and arguments', value);
  const { name, arguments: given = null } = value;
  if (typeof name !== 'string') throw refusal(`${at}.name`, 'a text', name);
  if (typeof given === 'string') return { name, arguments: given };
  if (given !== null && !isRecord(given)) {
    throw refusal(`${at}.arguments`, 'JSON as a text, or an object', given);
  }
  return { name, arguments: given === null ? '' : JSON.stringify(given) };
}
