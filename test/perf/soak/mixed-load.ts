import assert from 'node:assert/strict';
import { property } from '#test/e2e/mesh.ts';
import {
  type Body,
  jsonPost,
  postChat,
  streamAnswer,
  userMessage,
} from '#test/e2e/request/chat-request.ts';
import { imagePart } from '#test/e2e/request/phone-cases.ts';
import { screenshot } from '#test/e2e/request/screenshot.ts';
import { uniqueAudio } from '#test/e2e/request/unique-media.ts';

/** A kind of request of a mixed load, made again and again by `numClients` clients. */
interface Kind {
  readonly name: string;
  readonly numClients: number;
  /** Sends one; throws if the answer is not the right one. */
  readonly ask: (url: string, turn: number) => Promise<void>;
}

const PATH = '/v1/chat/completions';

async function answered(url: string, body: Body): Promise<void> {
  const { done, error } = await streamAnswer(url, { max_tokens: 24, ...body });
  assert(done, error);
}

/** Bodies that are refused, each in another stage. */
const BAD_BODIES: readonly ((turn: number) => RequestInit)[] = [
  () => ({ ...jsonPost({}), body: '{"messages":' }),
  () => jsonPost({ messages: userMessage('Hi'), temperature: 'hot' }),
  () => jsonPost({ messages: userMessage('a b '.repeat(20_000)) }),
  () => jsonPost({ messages: userMessage([imagePart(Buffer.from('no picture'))]) }),
  (turn) => {
    const data = Buffer.from(`RIFF${turn}WAVEfmt `).toString('base64');
    return jsonPost({
      messages: userMessage([{ type: 'input_audio', input_audio: { data, format: 'wav' } }]),
    });
  },
];

const KINDS: readonly Kind[] = [
  {
    name: 'text',
    numClients: 4,
    ask: (url, turn) => answered(url, { messages: userMessage(`Who are you? ${turn}`) }),
  },
  {
    name: 'screenshots',
    numClients: 1,
    ask: async (url, turn) => {
      const screen = imagePart(await screenshot(turn));
      await answered(url, {
        messages: userMessage([screen, { type: 'text', text: 'What is there?' }]),
      });
    },
  },
  {
    name: 'speech',
    numClients: 1,
    ask: async (url) => answered(url, { messages: userMessage([await uniqueAudio()]) }),
  },
  {
    name: 'aborts',
    numClients: 2,
    ask: async (url) => {
      const leaving = new AbortController();
      const body = { messages: userMessage('Who are you?'), ignore_eos: true, max_tokens: 2000 };
      const request = { ...jsonPost({ ...body, stream: true }), signal: leaving.signal };
      const answer = await fetch(`${url}${PATH}`, request);
      assert.equal(answer.status, 200);
      await answer.body?.getReader().read();
      leaving.abort();
    },
  },
  {
    name: 'bad input',
    numClients: 1,
    ask: async (url, turn) => {
      const bad = BAD_BODIES[turn % BAD_BODIES.length]?.(turn);
      const answer = await fetch(`${url}${PATH}`, bad);
      const message = property(await answer.json(), 'error', 'message');
      assert(answer.status >= 400 && answer.status < 429, `${answer.status}: ${String(message)}`);
      assert.equal(typeof message, 'string');
    },
  },
];

/** Keeps every kind of request running until `until` aborts; resolves to the number of each. */
export async function runMixedLoad(
  url: string,
  until: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map(KINDS.map(({ name }) => [name, 0]));
  let nextTurn = 0;
  const client = async ({ name, ask }: Kind) => {
    while (!until.aborted) {
      nextTurn += 1;
      await ask(url, nextTurn);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  };
  const clients = KINDS.flatMap((kind) => Array.from({ length: kind.numClients }, () => kind));
  await Promise.all(clients.map(client));
  const { status } = await postChat(url, { messages: userMessage('Hi'), max_tokens: 1 });
  assert.equal(status, 200, 'the request after the load');
  return counts;
}
