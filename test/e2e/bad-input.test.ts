import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Body, jsonPost, postChat, userMessage } from '#test/e2e/request/chat-request.ts';
import { type Mesh, property, startMesh } from './mesh.ts';

const KEY = 'secret';

describe('bad input through every process', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh({ env: { AUTOGLM_API_KEY: '' } });
  });
  after(() => mesh.stop());

  const messages = userMessage('Hi');
  interface Row {
    readonly name: string;
    readonly body: Body;
    readonly status: number;
    /** Text that the message must name. */
    readonly says: RegExp;
  }
  const rows: readonly Row[] = [
    { name: 'no messages', body: { messages: [] }, status: 400, says: /messages/ },
    {
      name: 'a temperature that is a word',
      body: { messages, temperature: 'hot' },
      status: 400,
      says: /temperature/,
    },
    { name: 'a model that is not served', body: { messages, model: 'x' }, status: 404, says: /x/ },
    { name: 'n out of range', body: { messages, n: 0 }, status: 400, says: /\bn\b/ },
    {
      name: 'too many log-probabilities',
      body: { messages, logprobs: true, top_logprobs: 99 },
      status: 400,
      says: /top_logprobs/,
    },
    {
      name: 'a prompt longer than the context',
      body: { messages: userMessage('你好 '.repeat(9000)) },
      status: 400,
      says: /maximum context length is 8192 tokens/,
    },
    {
      name: 'a grammar of another server',
      body: { messages, ebnf: 'root ::= "a"' },
      status: 400,
      says: /^ebnf: .*use structured_outputs.grammar/,
    },
    {
      name: 'stream options without a stream',
      body: { messages, stream_options: { include_usage: true } },
      status: 400,
      says: /stream_options/,
    },
    {
      name: 'a priority that nobody may have',
      body: { messages, priority: -1 },
      status: 400,
      says: /^priority: .*scheduling-policy/,
    },
    {
      name: 'tools',
      body: { messages, tools: [{ type: 'function', function: { name: 'f' } }] },
      status: 400,
      says: /tools/,
    },
  ];
  for (const { name, body, status, says } of rows) {
    it(`refuses ${name} with ${status} and names it`, async () => {
      const answer = await postChat(mesh.url, body);

      assert.equal(answer.status, status);
      assert.match(String(property(answer.body, 'error', 'message')), says);
    });
  }

  it('refuses malformed JSON with 400', async () => {
    const request = { ...jsonPost({}), body: '{"messages":' };
    const answer = await fetch(`${mesh.url}/v1/chat/completions`, request);

    assert.equal(answer.status, 400);
  });

  it('serves the next request as if nothing had happened', async () => {
    const { status } = await postChat(mesh.url, { messages });

    assert.equal(status, 200);
  });
});

describe('a mesh with an API key', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh({ env: { AUTOGLM_API_KEY: KEY } });
  });
  after(() => mesh.stop());

  it('answers 401 without the key', async () => {
    const { status } = await postChat(mesh.url, { messages: userMessage('Hi') });

    assert.equal(status, 401);
  });

  it('serves whoever has it', async () => {
    const headers = { authorization: `Bearer ${KEY}` };
    const answer = await fetch(`${mesh.url}/v1/models`, { headers });

    assert.equal(answer.status, 200);
  });

  it('keeps health and metrics open', async () => {
    const answers = await Promise.all(
      ['/health', '/metrics'].map((path) => fetch(`${mesh.url}${path}`)),
    );

    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200],
    );
  });
});
