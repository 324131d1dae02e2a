import { type Body, jsonPost, userMessage } from '#test/e2e/request/chat-request.ts';
import { GOLDEN_CASES } from '#test/e2e/request/golden.ts';
import { chatRequest, type PhoneCase, readMedia } from '#test/e2e/request/phone-cases.ts';
import { type AnswerReader, ChatReader, TranscriptReader } from './answer.ts';

/** Names under which one request is sent. */
export interface Sending {
  readonly requestId: string;
  /** Salt of the caches; nothing is shared with requests of another salt. */
  readonly cacheSalt: string;
}

/** One of the distinct requests of the load; its answer is the same each time. */
export interface RequestCase {
  readonly name: string;
  readonly path: string;
  /** Makes what `fetch` sends. */
  readonly post: (sending: Sending) => RequestInit;
  readonly createReader: () => AnswerReader;
}

function chat(name: string, body: Body): RequestCase {
  const streamed = {
    stream: true,
    stream_options: { include_usage: true },
    return_reasoning: true,
  };
  return {
    name,
    path: '/v1/chat/completions',
    post: ({ requestId, cacheSalt }) => {
      const { headers, ...rest } = jsonPost({ ...body, ...streamed, cache_salt: cacheSalt });
      return { ...rest, headers: { ...headers, 'x-request-id': requestId } };
    },
    createReader: () => new ChatReader(),
  };
}

function transcription(name: string, path: string): RequestCase {
  const file = new File([readMedia(path)], 'speech.wav', { type: 'audio/wav' });
  return {
    name,
    path: '/v1/audio/transcriptions',
    post: ({ requestId, cacheSalt }) => {
      const form = new FormData();
      const fields = { model: 'phone-nano', stream: 'true', cache_salt: cacheSalt };
      for (const [key, value] of Object.entries(fields)) form.append(key, value);
      form.append('file', file);
      return { method: 'POST', headers: { 'x-request-id': requestId }, body: form };
    },
    createReader: () => new TranscriptReader(),
  };
}

/** An answer of exactly so many tokens, so that it is still running when something happens. */
function long(numTokens: number): Body {
  return { ignore_eos: true, max_tokens: numTokens };
}

const GREEDY: Body = { temperature: 0 };
const ASK = { messages: userMessage('Who are you?') };
const FRANCE = { messages: userMessage('What is the capital of France?') };
const OPEN = { messages: userMessage('打开微信'), enable_thinking: true };

function goldenCases(kind: 'image' | 'audio', count: number): readonly PhoneCase[] {
  return GOLDEN_CASES.filter(({ content }) => content.some(({ type }) => type === kind)).slice(
    0,
    count,
  );
}

const seeded = (seed: number, numTokens: number): Body => ({
  temperature: 1,
  seed,
  ...long(numTokens),
});

/** The distinct requests: each way of answering that a lost process could spoil. */
export const REQUEST_CASES: readonly RequestCase[] = [
  chat('greedy text', { ...ASK, ...GREEDY, ...long(200) }),
  chat('greedy text, short', { messages: userMessage('你是谁?'), ...GREEDY }),
  ...[1, 2, 3].map((seed) => chat(`sampled text ${seed}`, { ...ASK, ...seeded(seed, 250) })),
  chat('two choices', { ...ASK, ...seeded(4, 120), n: 2 }),
  chat('greedy two choices', { ...FRANCE, ...GREEDY, ...long(90), n: 2 }),
  chat('stop string', { ...FRANCE, ...GREEDY, stop: ['short speech'] }),
  chat('stop string, sampled', { ...ASK, ...seeded(5, 250), stop: ['screen is', '应用是'] }),
  chat('log-probabilities', { ...ASK, ...GREEDY, ...long(120), logprobs: true, top_logprobs: 2 }),
  chat('log-probabilities, sampled', { ...ASK, ...seeded(6, 120), logprobs: true }),
  chat('reasoning', { ...OPEN, ...GREEDY }),
  chat('reasoning, sampled', { ...OPEN, ...seeded(7, 150) }),
  ...goldenCases('image', 4).flatMap((one, index) => [
    chat(`image ${index + 1}`, { ...chatRequest(one), ...GREEDY }),
    chat(`image ${index + 1}, long`, { ...chatRequest(one), ...seeded(20 + index, 120) }),
  ]),
  ...goldenCases('audio', 3).flatMap((one, index) => [
    chat(`audio ${index + 1}`, { ...chatRequest(one), ...GREEDY }),
    chat(`audio ${index + 1}, long`, { ...chatRequest(one), ...seeded(30 + index, 120) }),
  ]),
  transcription('transcription 1', 'media/audio78.wav'),
  transcription('transcription 2', 'media/audio80.wav'),
];
