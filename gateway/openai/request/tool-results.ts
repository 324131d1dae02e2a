import { quoted } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import type { ChatMessage, ToolCall } from '#protos/autoglm/llm/v1/prompt.ts';

/** A call that waits for its result, and its path. */
interface OpenCall {
  readonly id: string;
  readonly at: string;
}

/**
 * Refuses a conversation in which a call has no result, or a result no call: results follow the
 * message with their calls, before any other message. A result without an id is that of the first
 * call without a result. A last message that the model is to continue may have calls.
 */
export function checkToolResults(
  messages: readonly ChatMessage[],
  { isLastOpen }: { readonly isLastOpen: boolean },
): void {
  let open: readonly OpenCall[] = [];
  messages.forEach(({ role, toolCalls, toolCallId }, i) => {
    const at = `messages[${i}]`;
    if (role === 'tool') {
      open = withoutAnswered(open, toolCallId ?? '', at);
      return;
    }
    checkAnswered(open);
    open = openCalls(toolCalls, at);
  });
  if (!isLastOpen) checkAnswered(open);
}

function openCalls(calls: readonly ToolCall[], at: string): OpenCall[] {
  const ids = new Set<string>();
  return calls.map(({ id }, i) => {
    const path = `${at}.tool_calls[${i}]`;
    if (id !== '' && ids.has(id)) throw refusal(`${path}.id`, `${quoted(id)} names another call`);
    ids.add(id);
    return { id, at: path };
  });
}

function withoutAnswered(open: readonly OpenCall[], id: string, at: string): OpenCall[] {
  const index = id === '' ? 0 : open.findIndex((call) => call.id === id);
  if (open[index] !== undefined) return open.filter((_, i) => i !== index);
  const param = `${at}.tool_call_id`;
  const which = id === '' ? 'this result' : quoted(id);
  const calls = open.length === 0 ? 'none is' : `${open.map((call) => quoted(call.id))} are`;
  throw refusal(param, `no call in front of this message belongs to ${which}; ${calls} open`);
}

function checkAnswered([first]: readonly OpenCall[]): void {
  if (first === undefined) return;
  const { id, at } = first;
  const name = id === '' ? 'this call' : `the call ${quoted(id)}`;
  const message = `${name} has no result; messages of the role tool with the ids of all calls must follow its message`;
  throw refusal(at, message);
}

function refusal(at: string, problem: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${at}: ${problem}`, { param: at });
}
