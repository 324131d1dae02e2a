import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { MeshError } from '#mesh/errors.ts';
import { within } from '#test/bounded.ts';
import { accepted, delta, finished, saying, stopped } from './fake-backbone.ts';
import {
  CHAT,
  errorOf,
  eventsOf,
  type Harness,
  type HarnessOptions,
  jsonOf,
  startHarness,
} from './harness.ts';
import { WAV } from './media-files.ts';

const PATH = '/v1/chat/completions';
const KEY = '8e03978e-40d5-43e8-bc93-6894a57f9324';

let harness: Harness;

async function start(options: HarnessOptions = {}): Promise<Harness> {
  harness = await startHarness(options);
  return harness;
}

/** What fetch sends with a key. */
function keyed(body: unknown, more: RequestInit = {}, key = KEY): RequestInit {
  const headers = { 'content-type': 'application/json', 'idempotency-key': key };
  return { ...more, body: JSON.stringify(body), headers: { ...headers, ...more.headers } };
}

function ask(body: unknown, more: RequestInit = {}, key = KEY): Promise<Response> {
  return harness.post(PATH, body, keyed(body, more, key));
}

/** Returns a script that says `a`, and then `b` when the test says so. */
function held() {
  let goOn = () => {};
  const isOn = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const script = async function* () {
    yield accepted();
    yield delta({ text: 'a' });
    await isOn;
    yield delta({ text: 'b', finish: stopped() });
    yield finished();
  };
  return { script, goOn };
}

async function outcomes(): Promise<Record<string, number>> {
  const text = await (await harness.get('/metrics')).text();
  const lines = text.matchAll(/autoglm:gateway_keyed_requests_total\{.*outcome="(\w+)".*\} (\d+)/g);
  return Object.fromEntries([...lines].map(([, outcome, count]) => [outcome, Number(count)]));
}

describe('A request with an Idempotency-Key', () => {
  afterEach(() => harness.close());

  it('that is repeated gets the answer of the first, to the byte', async () => {
    const { backbone } = await start();
    const first = await ask(CHAT, { headers: { 'x-request-id': 'one' } });
    const again = await ask(CHAT, { headers: { 'x-request-id': 'two' } });

    assert.equal(first.headers.get('idempotent-replayed'), null);
    assert.equal(again.status, 200);
    assert.equal(again.headers.get('content-type'), first.headers.get('content-type'));
    assert.equal(again.headers.get('idempotent-replayed'), 'true');
    assert.equal(again.headers.get('original-request'), 'one');
    assert.equal(again.headers.get('x-request-id'), 'two');
    assert.equal(await again.text(), await first.text());
    assert.equal(backbone.starts.length, 1);
    assert.deepEqual(await outcomes(), { started: 1, replayed: 1 });
  });

  it('that is repeated while it streams joins it from the first frame on', async () => {
    const { backbone } = await start();
    const { script, goOn } = held();
    backbone.script = script;
    const body = { ...CHAT, stream: true };
    const first = await ask(body);
    const second = await ask(body);
    goOn();

    const text = await second.text();
    assert.equal(text, await first.text());
    assert.equal(eventsOf(text).at(-1), '[DONE]');
    assert.equal(second.headers.get('idempotent-replayed'), 'true');
    assert.equal(await (await ask(body)).text(), text);
    assert.equal(backbone.starts.length, 1);
    assert.deepEqual(await outcomes(), { started: 1, joined: 1, replayed: 1 });
  });

  it('survives its client, which finds all of it when it comes back', async () => {
    const { backbone } = await start({ idempotencyGraceS: 60 });
    const { script, goOn } = held();
    backbone.script = script;
    const body = { ...CHAT, stream: true };
    const client = new AbortController();
    const cut = await ask(body, { signal: client.signal });
    client.abort();
    await assert.rejects(cut.text());
    const again = ask(body);
    goOn();

    const text = await (await again).text();
    assert.match(text, /"content":"a"/);
    assert.match(text, /"content":"b"/);
    assert.equal(eventsOf(text).at(-1), '[DONE]');
    assert.equal(backbone.starts.length, 1);
    assert(!backbone.trace.includes('cancelled'));
  });

  it('is cancelled when its client does not come back, and then forgotten', async () => {
    const { backbone } = await start({ idempotencyGraceS: 0.01 });
    backbone.script = held().script;
    const client = new AbortController();
    const cut = await ask({ ...CHAT, stream: true }, { signal: client.signal });
    client.abort();
    await assert.rejects(cut.text());
    await backbone.until('cancelled');

    backbone.script = () => saying('new');
    const again = await ask({ ...CHAT, stream: true });
    assert.match(await again.text(), /"content":"new"/);
    assert.equal(again.headers.get('idempotent-replayed'), null);
  });

  it('with another body is refused', async () => {
    await start();
    await ask(CHAT);
    const refused = await ask({ ...CHAT, max_tokens: 3 });

    assert.equal(refused.status, 422);
    assert.equal(refused.headers.get('x-should-retry'), 'false');
    const { code, param } = await errorOf(refused);
    assert.deepEqual([code, param], ['idempotency_key_reused', 'Idempotency-Key']);
  });

  it('gets no answer of another client with the same key', async () => {
    const { backbone } = await start({ apiKey: 'alpha,beta' });
    for (const key of ['alpha', 'beta']) {
      const answer = await ask(CHAT, { headers: { authorization: `Bearer ${key}` } });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get('idempotent-replayed'), null);
    }
    assert.equal(backbone.starts.length, 2);
  });

  it('is tried again after a failure of the server', async () => {
    const { backbone } = await start();
    backbone.script = async function* () {
      yield accepted();
      throw new MeshError('QUEUE_FULL', 'no room');
    };
    assert.equal((await ask(CHAT)).status, 429);

    backbone.script = () => saying('fine');
    const again = await ask(CHAT);
    assert.equal(again.status, 200);
    assert.equal(again.headers.get('idempotent-replayed'), null);
  });

  it('keeps the refusal of a request that nobody can answer', async () => {
    const { backbone } = await start();
    backbone.script = async function* () {
      yield accepted();
      throw new MeshError('CONTEXT_LENGTH_EXCEEDED', 'too long');
    };
    const first = await ask(CHAT);
    const again = await ask(CHAT);

    assert.equal(first.status, 400);
    assert.equal(again.status, 400);
    assert.equal(again.headers.get('idempotent-replayed'), 'true');
    assert.equal(await again.text(), await first.text());
    assert.equal(backbone.starts.length, 1);
  });

  it('is refused if the key is none', async () => {
    const { backbone } = await start();
    const refused = await ask(CHAT, {}, 'two words');

    assert.equal(refused.status, 400);
    assert.equal((await errorOf(refused)).param, 'Idempotency-Key');
    assert.equal(backbone.starts.length, 0);
  });

  it('may be a form, whose boundary is another one each time', async () => {
    const { backbone, url } = await start();
    const post = () => {
      const form = new FormData();
      form.set('model', 'phone-nano');
      form.set('response_format', 'text');
      form.set('file', new Blob([WAV]), 'a.wav');
      const headers = { 'idempotency-key': KEY };
      return fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', body: form, headers });
    };
    const first = await post();
    const again = await post();

    assert.equal(first.status, 200);
    assert.equal(again.headers.get('idempotent-replayed'), 'true');
    assert.match(again.headers.get('content-type') ?? '', /^text\/plain/);
    assert.equal(await again.text(), await first.text());
    assert.equal(backbone.starts.length, 1);
  });

  it('does not hold up the end of a gateway when its client has gone', async () => {
    const { backbone, gateway } = await start({ idempotencyGraceS: 60 });
    backbone.script = held().script;
    const client = new AbortController();
    const cut = await ask({ ...CHAT, stream: true }, { signal: client.signal });
    client.abort();
    await assert.rejects(cut.text());

    const trace = () => backbone.trace;
    await within(gateway.drain(60_000), { what: 'the end of the gateway', trace });
    await backbone.until('cancelled');
  });

  it('answers a chat as one without a key', async () => {
    await start();
    const { id: _, created: __, ...plain } = await jsonOf(await harness.post(PATH, CHAT));
    const { id, created, ...withKey } = await jsonOf(await ask(CHAT));

    assert.deepEqual(withKey, plain);
    assert.match(String(id), /^chatcmpl-/);
    assert.equal(typeof created, 'number');
  });
});
