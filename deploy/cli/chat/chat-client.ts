import { MeshError } from '#mesh/errors.ts';
import type { ContentPart } from './media-part.ts';
import { sseData } from './sse-data.ts';

export interface ChatTurn {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string | readonly ContentPart[];
}

export interface ChatOptions {
  /** Base URL of the gateway. */
  readonly url: string;
  readonly apiKey?: string | undefined;
  /** Further fields of the request body. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

/** Streams the text of the answer to a conversation. */
export async function* streamChat(
  messages: readonly ChatTurn[],
  { url, apiKey, fields, signal }: ChatOptions,
): AsyncGenerator<string> {
  const key = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...key },
    body: JSON.stringify({ ...fields, messages, stream: true }),
    signal,
  }).catch((cause: unknown) => {
    if (signal.aborted) throw cause;
    throw new MeshError('NO_READY_ENDPOINT', `no mesh answers at ${url}`, { cause });
  });
  if (!answer.ok || answer.body === null) throw refusal(await answer.text(), answer.status);
  try {
    for await (const data of sseData(answer.body)) {
      if (data === '[DONE]') return;
      yield deltaText(data);
    }
  } catch (cause: unknown) {
    if (signal.aborted || cause instanceof MeshError) throw cause;
    throw brokeOff(cause);
  }
  throw brokeOff();
}

function brokeOff(cause?: unknown): MeshError {
  return new MeshError('ENGINE_FAILED', 'the answer broke off; it is not kept', { cause });
}

function deltaText(data: string): string {
  const chunk: unknown = JSON.parse(data);
  if (valueAt(chunk, ['error']) !== undefined) throw refusal(data, 200);
  const text = valueAt(chunk, ['choices', '0', 'delta', 'content']);
  return typeof text === 'string' ? text : '';
}

function refusal(body: string, status: number): MeshError {
  let message: unknown;
  try {
    message = valueAt(JSON.parse(body), ['error', 'message']);
  } catch {
    message = undefined;
  }
  const text = typeof message === 'string' ? message : body.slice(0, 200);
  return new MeshError('INVALID_REQUEST', status === 200 ? text : `${status}: ${text}`);
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  let found = value;
  for (const key of path) {
    if (typeof found !== 'object' || found === null) return undefined;
    found = Reflect.get(found, key);
  }
  return found;
}
