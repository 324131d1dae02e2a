import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { MeshError } from '#mesh/errors.ts';
import { accepted, delta, FakeBackbone, finished, saying, stopped } from './fake-backbone.ts';
import {
  CHAT,
  errorOf,
  eventsOf,
  type Harness,
  type HarnessOptions,
  jsonOf,
  startHarness,
  untilReady,
} from './harness.ts';
import { dataUrl, PNG, WAV } from './media-files.ts';

const CHATS = '/v1/chat/completions';
const TEXTS = '/v1/completions';
const RULES = `
language: en
rules:
  - name: greeting
    patterns: ['hi', 'hello*', '你好*']
    answers: {en: 'Hello. I am away.', zh: '你好,我暂时不在。'}
`;

let harness: Harness;
let folder = '';
let rulesFile = '';

async function start(options: HarnessOptions = {}): Promise<Harness> {
  harness = await startHarness(options);
  return harness;
}

/** Two models, of which the first is away. */
async function startWithoutBig(options: HarnessOptions = {}): Promise<Harness> {
  const backbones = [new FakeBackbone(['big']), new FakeBackbone(['small'])];
  const both = await start({ backbones, ...options });
  await both.backbone.kill();
  await untilReady(both.url, 1);
  return both;
}

const servedBy = (response: Response) => response.headers.get('x-autoglm-served-by');

/** Content of the first choice of a chat, streamed or whole. */
async function contentOf(response: Response): Promise<string> {
  const text = await response.text();
  if (!text.startsWith('data:')) return JSON.parse(text).choices[0].message.content;
  const chunks = eventsOf(text).slice(0, -1) as {
    choices: { index: number; delta: { content?: string } }[];
  }[];
  const steps = chunks.flatMap(({ choices }) => choices).filter(({ index }) => index === 0);
  return steps.map((step) => step.delta.content ?? '').join('');
}

async function degraded(): Promise<Record<string, number>> {
  const text = await (await harness.get('/metrics')).text();
  const lines = text.matchAll(
    /autoglm:gateway_degraded_replies_total\{.*kind="([\w-]+)".*\} (\d+)/g,
  );
  return Object.fromEntries([...lines].map(([, kind, count]) => [kind, Number(count)]));
}

/** Makes the only backbone fail every generation at once. */
function lose(backbone: FakeBackbone): void {
  backbone.script = async function* () {
    yield accepted();
    throw new MeshError('ENGINE_FAILED', 'the device is gone');
  };
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'autoglm-rules-'));
  rulesFile = join(folder, 'rules.yaml');
  await writeFile(rulesFile, RULES);
});
after(() => rm(folder, { recursive: true }));

describe('A gateway without a replica for a model', () => {
  afterEach(() => harness.close());

  it('says so, when nothing else is configured', async () => {
    await startWithoutBig();
    const refused = await harness.post(CHATS, { ...CHAT, model: 'big' });

    assert.equal(refused.status, 503);
    assert.notEqual(refused.headers.get('retry-after'), null);
    assert.equal(servedBy(refused), null);
  });

  for (const stream of [false, true]) {
    it(`lets the fallback model answer (stream: ${stream})`, async () => {
      await startWithoutBig({ fallbackModel: ['big=small'] });
      const response = await harness.post(CHATS, { ...CHAT, model: 'big', stream });

      assert.equal(response.status, 200);
      assert.equal(servedBy(response), 'fallback-model:small');
      const copy = response.clone();
      assert.equal(await contentOf(response), 'Hello world');
      assert.match(await copy.text(), /"model":"small"/);
      assert.deepEqual(await degraded(), { 'fallback-model': 1 });
    });
  }

  it('lets the fallback model continue a text and write down a recording', async () => {
    const { url } = await startWithoutBig({ fallbackModel: ['*=small'] });
    const text = await harness.post(TEXTS, { prompt: 'hi', model: 'big' });
    assert.equal(servedBy(text), 'fallback-model:small');

    const form = new FormData();
    form.set('model', 'big');
    form.set('file', new Blob([WAV]), 'a.wav');
    const words = await fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', body: form });
    assert.equal(servedBy(words), 'fallback-model:small');
    assert.equal(words.status, 200);
  });

  it('goes down to the fallback of the fallback', async () => {
    const backbones = ['big', 'middle', 'small'].map((name) => new FakeBackbone([name]));
    await start({ backbones, fallbackModel: ['big=middle', 'middle=small'] });
    for (const one of backbones.slice(0, 2)) await one.kill();
    await untilReady(harness.url, 1);

    const response = await harness.post(CHATS, { ...CHAT, model: 'big' });
    assert.equal(servedBy(response), 'fallback-model:small');
  });

  it('asks the fallback of a model that it has never seen, but of no other', async () => {
    await start({ backbones: [new FakeBackbone(['small'])], fallbackModel: ['big=small'] });

    assert.equal(
      servedBy(await harness.post(CHATS, { ...CHAT, model: 'big' })),
      'fallback-model:small',
    );
    const unknown = await harness.post(CHATS, { ...CHAT, model: 'huge' });
    assert.equal(unknown.status, 404);
  });

  it('does not touch what the model itself answers or refuses', async () => {
    const { backbone } = await start({ rulesFile, degradedCacheMb: 1 });
    assert.equal(servedBy(await harness.post(CHATS, CHAT)), null);
    backbone.script = async function* () {
      yield accepted();
      throw new MeshError('CONTEXT_LENGTH_EXCEEDED', 'too long');
    };

    assert.equal((await harness.post(CHATS, CHAT)).status, 400);
    backbone.script = async function* () {
      yield accepted();
      throw new MeshError('QUEUE_FULL', 'no room');
    };
    assert.equal((await harness.post(CHATS, CHAT)).status, 429);
    assert.deepEqual(await degraded(), {});
  });

  it('gives the answer of an identical request again, whole or streamed', async () => {
    const { backbone } = await start({ degradedCacheMb: 1 });
    backbone.script = async function* () {
      yield accepted();
      yield delta({ text: 'a' }, { text: 'x', index: 1 });
      yield delta({ text: 'b', finish: stopped() }, { text: 'y', index: 1, finish: stopped(1) });
      yield finished({
        choices: [0, 1].map((index) => ({ ...stopped(index) })),
        numCompletionTokens: 4,
      });
    };
    const asked = { ...CHAT, n: 2 };
    const own = await jsonOf(await harness.post(CHATS, asked));
    lose(backbone);

    const whole = await harness.post(CHATS, asked);
    assert.equal(servedBy(whole), 'cache');
    const { id: _, created: __, ...again } = await jsonOf(whole);
    const { id: ___, created: ____, ...first } = own;
    assert.deepEqual(again, first);
    const streamed = await harness.post(CHATS, { ...asked, stream: true });
    assert.equal(servedBy(streamed), 'cache');
    assert.equal(await contentOf(streamed), 'ab');
    assert.deepEqual(await degraded(), { cache: 2 });
  });

  it('gives no answer to another request or to another client', async () => {
    const { backbone } = await start({ degradedCacheMb: 1, apiKey: 'alpha,beta' });
    const ask = (body: unknown, key: string) =>
      harness.post(CHATS, body, {
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      });
    assert.equal((await ask(CHAT, 'alpha')).status, 200);
    lose(backbone);

    assert.equal((await ask(CHAT, 'beta')).status, 500);
    assert.equal((await ask({ ...CHAT, seed: 3 }, 'alpha')).status, 500);
    assert.equal(servedBy(await ask(CHAT, 'alpha')), 'cache');
  });

  it('tells media in requests apart', async () => {
    const { backbone } = await start({ degradedCacheMb: 1 });
    const chat = (bytes: Buffer) => {
      const url = dataUrl('image/png', bytes);
      return { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }] };
    };
    assert.equal((await harness.post(CHATS, chat(PNG))).status, 200);
    lose(backbone);

    const other = Buffer.concat([PNG, Buffer.from([0])]);
    assert.equal((await harness.post(CHATS, chat(other))).status, 500);
    assert.equal(servedBy(await harness.post(CHATS, chat(PNG))), 'cache');
  });

  for (const stream of [false, true]) {
    it(`answers by a rule, in the language of the text (stream: ${stream})`, async () => {
      const { backbone } = await start({ rulesFile });
      lose(backbone);
      const chat = (content: string) => ({ messages: [{ role: 'user', content }], stream });

      const english = await harness.post(CHATS, chat('Hello there'));
      assert.equal(english.status, 200);
      assert.equal(servedBy(english), 'rule:greeting');
      assert.equal(await contentOf(english), 'Hello. I am away.');
      const chinese = await harness.post(CHATS, chat('你好呀'));
      assert.match(await chinese.clone().text(), /"model":"rule:greeting"/);
      assert.equal(await contentOf(chinese), '你好,我暂时不在。');
      const other = await harness.post(CHATS, chat('open WeChat'));
      assert.equal(other.status, 500);
      assert.equal(servedBy(other), null);
      assert.deepEqual(await degraded(), { rule: 2 });
    });
  }

  it('answers by a rule in a shape that OpenAI clients read', async () => {
    const { backbone, url } = await start({ rulesFile });
    lose(backbone);
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
    const messages = [{ role: 'user', content: 'hi' }] as const;
    const model = 'phone-nano';
    const chat = await client.chat.completions.create({ model, messages: [...messages], n: 2 });
    const text = await client.completions.create({ model, prompt: 'hi' });

    assert.deepEqual(
      chat.choices.map(({ message, finish_reason }) => [message.content, finish_reason]),
      [0, 1].map(() => ['Hello. I am away.', 'stop']),
    );
    assert.equal(chat.usage?.completion_tokens, 0);
    assert.equal(text.choices[0]?.text, 'Hello. I am away.');
    assert.equal(text.model, 'rule:greeting');
  });

  it('goes from the fallback to the cache to the rules', async () => {
    const { backbones } = await startWithoutBig({
      fallbackModel: ['big=small'],
      degradedCacheMb: 1,
      rulesFile,
    });
    const small = backbones[1];
    assert(small !== undefined);
    const ask = () => harness.post(CHATS, { ...CHAT, model: 'big' });
    assert.equal(servedBy(await ask()), 'fallback-model:small');
    lose(small);
    assert.equal(servedBy(await ask()), 'rule:greeting');
    assert.deepEqual(await degraded(), { 'fallback-model': 1, rule: 1 });
  });

  it('leaves a stream alone once a token has been sent', async () => {
    const { backbone } = await start({ rulesFile });
    backbone.script = async function* () {
      yield accepted();
      yield delta({ text: 'a' });
      throw new MeshError('ENGINE_FAILED', 'the device is gone');
    };
    const response = await harness.post(CHATS, { ...CHAT, stream: true });
    const text = await response.text();

    assert.equal(servedBy(response), null);
    assert.match(text, /"content":"a"/);
    assert.match(text, /"error"/);
    assert.deepEqual(await degraded(), {});
  });

  it('says in a comment who answers when heartbeats have opened the stream', async () => {
    const { backbone } = await start({ rulesFile, heartbeatIntervalS: 0.02 });
    let goOn = () => {};
    const isLost = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    backbone.script = async function* () {
      yield accepted();
      await isLost;
      throw new MeshError('ENGINE_FAILED', 'the device is gone');
    };
    const response = await harness.post(CHATS, { ...CHAT, stream: true });
    goOn();

    const text = await response.text();
    assert.match(text, /^: keep-alive\n\n/);
    assert.match(text, /\n: x-autoglm-served-by: rule:greeting\n\n/);
    assert.equal(eventsOf(text).at(-1), '[DONE]');
  });

  it('labels the answer of a repeated request, too', async () => {
    const { backbone } = await start({ rulesFile });
    lose(backbone);
    const headers = { 'content-type': 'application/json', 'idempotency-key': 'k' };
    const ask = () =>
      harness.post(CHATS, CHAT, { headers, body: JSON.stringify({ ...CHAT, stream: true }) });

    assert.equal(servedBy(await ask()), 'rule:greeting');
    backbone.script = () => saying('back');
    const again = await ask();
    assert.equal(servedBy(again), 'rule:greeting');
    assert.equal(again.headers.get('idempotent-replayed'), 'true');
    assert.equal(await contentOf(again), 'Hello. I am away.');
  });

  it('tells a client whose request failed on every rung of its own model', async () => {
    const { backbone } = await start({ fallbackModel: ['*=absent'], rulesFile });
    lose(backbone);
    const refused = await harness.post(CHATS, {
      messages: [{ role: 'user', content: 'open WeChat' }],
    });

    assert.equal(refused.status, 500);
    assert.equal((await errorOf(refused)).code, 'engine_failed');
  });
});
