import { ApiError, ask, askJson } from '../client/api.ts';
import { SseReader } from '../client/sse.ts';
import { EMPTY_ANSWER, failed, withEvent } from './answer.ts';
import { base64Of } from './base64.ts';
import {
  type AnswerTurn,
  type Attachment,
  type ChatOptions,
  chatBody,
  type Turn,
} from './conversation.ts';

export interface AskOptions {
  readonly signal: AbortSignal;
  /** Called with the answer as far as it has come. */
  readonly onProgress: (answer: AnswerTurn) => void;
  /** What is said if the stream ends too early, and if nobody answers. */
  readonly words: { readonly cutOff: string; readonly network: string };
}

/** Asks for the next answer of a conversation; resolves to the answer, however it ended. */
export async function askModel(
  turns: readonly Turn[],
  options: ChatOptions,
  { signal, onProgress, words }: AskOptions,
): Promise<AnswerTurn> {
  const begin = performance.now();
  const elapsed = () => performance.now() - begin;
  let answer = EMPTY_ANSWER;
  try {
    const body = chatBody(turns, options, ({ bytes }) => base64Of(bytes));
    const response = await ask('v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal,
    });
    answer = { ...answer, requestId: response.headers.get('x-request-id') ?? '' };
    for await (const data of eventsOf(response)) {
      answer = withEvent(answer, data, elapsed());
      onProgress(answer);
    }
    return answer.end === 'running' ? failed(answer, words.cutOff, elapsed()) : answer;
  } catch (error: unknown) {
    return brokenOff(answer, error, { signal, words, elapsedMs: elapsed() });
  }
}

/** Asks for the words of a recording. */
export async function askForWords(
  recording: Attachment,
  model: string,
  { signal, words }: Pick<AskOptions, 'signal' | 'words'>,
): Promise<AnswerTurn> {
  const begin = performance.now();
  try {
    const form = new FormData();
    form.append('file', new Blob([recording.bytes], { type: recording.type }), recording.name);
    form.append('model', model);
    const init = { method: 'POST', body: form, signal };
    const { text } = await askJson<{ readonly text: string }>('v1/audio/transcriptions', init);
    return { ...EMPTY_ANSWER, content: text, end: 'stop', totalMs: performance.now() - begin };
  } catch (error: unknown) {
    const elapsedMs = performance.now() - begin;
    return brokenOff(EMPTY_ANSWER, error, { signal, words, elapsedMs });
  }
}

function brokenOff(
  answer: AnswerTurn,
  error: unknown,
  {
    signal,
    words,
    elapsedMs,
  }: Pick<AskOptions, 'signal' | 'words'> & { readonly elapsedMs: number },
): AnswerTurn {
  if (signal.aborted) return { ...answer, end: 'stopped', totalMs: elapsedMs };
  if (error instanceof ApiError && error.isAboutKey) throw error;
  const isLost = error instanceof ApiError ? error.status === 0 : true;
  const why = error instanceof Error && !isLost ? error.message : words.network;
  return failed(answer, why, elapsedMs);
}

async function* eventsOf({ body }: Response): AsyncGenerator<string> {
  if (body === null) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const events = new SseReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    yield* events.push(value);
  }
}
