import { sseData } from '#deploy/cli/chat/sse-data.ts';
import { property } from '#test/e2e/mesh.ts';

export type Body = Readonly<Record<string, unknown>>;

/** Posts a chat request; resolves to the answer as parsed JSON. */
export async function postChat(
  url: string,
  body: Body,
): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${url}/v1/chat/completions`, jsonPost(body));
  return { status: answer.status, body: await answer.json() };
}

export function userMessage(content: string | readonly Body[]): readonly Body[] {
  return [{ role: 'user', content }];
}

export function jsonPost(body: Body): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  };
}

/** Outcome of a streamed answer. */
export interface StreamedAnswer {
  readonly text: string;
  /** Whether the last data was `[DONE]`. */
  readonly done: boolean;
  /** Message of an error event or of a refusal. */
  readonly error: string | undefined;
}

/**
 * Makes a listener to chunks that hears of those with text. The first chunk has none: it names the
 * role, before the model has begun.
 */
export function onText(listener: () => void): (content: string) => void {
  return (content) => {
    if (content !== '') listener();
  };
}

/** Streams a chat answer to its end; `onChunk` sees the text of every chunk as it arrives. */
export async function streamAnswer(
  url: string,
  body: Body,
  onChunk: (content: string) => void = () => {},
): Promise<StreamedAnswer> {
  const answer = await fetch(`${url}/v1/chat/completions`, jsonPost({ ...body, stream: true }));
  if (!answer.ok || answer.body === null) {
    const error = String(property(await answer.json(), 'error', 'message'));
    return { text: '', done: false, error: `${answer.status}: ${error}` };
  }
  let text = '';
  for await (const data of sseData(answer.body)) {
    if (data === '[DONE]') return { text, done: true, error: undefined };
    const chunk: unknown = JSON.parse(data);
    const error = property(chunk, 'error', 'message');
    if (error !== undefined) return { text, done: false, error: String(error) };
    const content = String(property(chunk, 'choices', 0, 'delta', 'content') ?? '');
    text += content;
    onChunk(content);
  }
  return { text, done: false, error: undefined };
}
