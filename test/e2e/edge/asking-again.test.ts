import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import OpenAI from 'openai';
import { within } from '#test/bounded.ts';
import { scraped } from '#test/e2e/counters.ts';
import { type Mesh, property, startMesh } from '#test/e2e/mesh.ts';
import { type Body, jsonPost, streamAnswer, userMessage } from '#test/e2e/request/chat-request.ts';
import { LONG_ANSWER } from '#test/e2e/request/load.ts';

/** Milliseconds between two questions to a mesh that is being started again. */
const LOOK_INTERVAL_MS = 100;
const QUESTION = { messages: userMessage('你是谁?'), temperature: 0 };
const RULES = "language: en\nrules: [{name: away, patterns: ['*'], answers: {en: I am away.}}]\n";

describe('a gateway that keeps answers', () => {
  let mesh: Mesh;
  let folder = '';

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'autoglm-rules-'));
    const rules = join(folder, 'rules.yaml');
    await writeFile(rules, RULES);
    const keys = ['recovery-wait-s: 0', 'degraded-cache-mb: 8', `rules-file: ${rules}`];
    mesh = await startMesh({ gateway: keys });
  });
  after(async () => {
    await mesh.stop();
    await rm(folder, { recursive: true });
  });

  async function ask(body: Body) {
    const response = await fetch(`${mesh.url}/v1/chat/completions`, jsonPost(body));
    const answer: unknown = await response.json();
    return {
      servedBy: response.headers.get('x-autoglm-served-by'),
      content: property(answer, 'choices', 0, 'message', 'content'),
    };
  }

  it('gives a client that lost its stream the whole of it, computed once', async () => {
    const undisturbed = await streamAnswer(mesh.url, LONG_ANSWER);
    const client = new OpenAI({ baseURL: `${mesh.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const request = {
      model: 'phone-nano',
      messages: [{ role: 'user' as const, content: 'Who are you?' }],
      max_tokens: 200,
      temperature: 1,
      seed: 7,
      stream: true as const,
      ...{ ignore_eos: true },
    };
    const options = { headers: { 'Idempotency-Key': 'a-request-of-mine' } };
    const cut = await client.chat.completions.create(request, options);
    for await (const { choices } of cut) {
      if (choices[0]?.delta.content) break;
    }
    const { data, response } = await client.chat.completions
      .create(request, options)
      .withResponse();
    let text = '';
    for await (const { choices } of data) text += choices[0]?.delta.content ?? '';

    assert.equal(response.headers.get('idempotent-replayed'), 'true');
    assert.equal(text, undisturbed.text);
    assert.equal(await scraped(mesh.url, 'autoglm:gateway_keyed_requests_total'), 2);
    assert.equal(await scraped(mesh.url, 'autoglm:gateway_cancelled_requests_total'), 0);
  });

  it('gives what it has while no backbone runs, and computed answers after that', async () => {
    const own = await ask(QUESTION);
    assert.equal(own.servedBy, null);
    const [pid = 0] = await mesh.pids('llm-backbone');
    process.kill(pid, 'SIGKILL');

    const again = await ask(QUESTION);
    const other = await ask({ messages: userMessage('What is the time?') });
    assert.deepEqual(again, { servedBy: 'cache', content: own.content });
    assert.deepEqual(other, { servedBy: 'rule:away', content: 'I am away.' });
    const untilComputed = async () => {
      while ((await ask(QUESTION)).servedBy !== null) await delay(LOOK_INTERVAL_MS);
    };
    await within(untilComputed(), { what: 'a computed answer', boundMs: 60_000 });
  });
});
