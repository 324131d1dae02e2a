import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { RequestView } from '#mesh/trace/request-view.ts';
import { within } from '#test/bounded.ts';
import { aborted, accepted, delta, saying } from '#test/contract/gateway/fake-backbone.ts';
import { CHAT, type Harness, jsonOf, startHarness } from '#test/contract/gateway/harness.ts';
import { type LogLine, memoryLog } from '#test/memory-log.ts';

const KEY = 'a-key-that-nobody-else-knows';
const JSON_TYPE = { 'content-type': 'application/json' };
const WITH_KEY = { ...JSON_TYPE, authorization: `Bearer ${KEY}` };

/** An access line: the method, the route and the status. */
const ACCESS = /^([A-Z]+|malformed) \S+ \d{3}$/;

describe('the access log of a gateway', () => {
  const { log, lines } = memoryLog();
  let harness: Harness;
  let numBefore = 0;
  before(async () => {
    harness = await startHarness({ log, apiKey: KEY, console: true });
  });
  after(() => harness.close());
  beforeEach(() => {
    harness.backbone.script = () => saying('Hello', ' world');
    numBefore = lines.length;
  });

  /** Waits for so many lines of requests, and returns all there are. */
  async function accessLines(count = 1): Promise<readonly LogLine[]> {
    const found = () => lines.slice(numBefore).filter(({ msg }) => ACCESS.test(msg));
    const come = async () => {
      while (found().length < count) await new Promise((resolve) => setImmediate(resolve));
    };
    await within(come(), { what: 'a line', trace: () => lines.map((one) => JSON.stringify(one)) });
    // A second line of a request would come with the first.
    await (await harness.get('/livez')).text();
    return found().filter(({ msg }) => msg !== 'GET /livez 200');
  }

  const { model, messages } = { model: 'phone-nano', ...CHAT };
  const wav = new FormData();
  wav.set('model', 'phone-nano');
  wav.set('file', new Blob(['RIFF....WAVE']), 'a.wav');
  const asked: readonly (readonly [string, string, RequestInit, string])[] = [
    ['POST', '/v1/chat/completions', { body: JSON.stringify(CHAT) }, '200'],
    ['POST', '/v1/completions', { body: '{"prompt":"hi"}' }, '200'],
    ['POST', '/v1/embeddings', { body: '{"input":[]}' }, '400 INVALID_REQUEST'],
    ['POST', '/v1/responses', { body: '{"input":"hi"}' }, '200'],
    ['POST', '/v1/responses', { body: '{"input":[]}' }, '400 INVALID_REQUEST'],
    ['POST', '/v1/messages', { body: JSON.stringify({ model, messages, max_tokens: 9 }) }, '200'],
    ['POST', '/v1/messages', { body: '[]' }, '400 INVALID_REQUEST'],
    ['POST', '/v1/messages/count_tokens', { body: JSON.stringify({ model, messages }) }, '200'],
    ['POST', '/v1/audio/transcriptions', { body: wav }, '200'],
    ['POST', '/tokenize', { body: '{"prompt":"hi"}' }, '200'],
    ['POST', '/detokenize', { body: '{"tokens":[1]}' }, '200'],
    ['GET', '/v1/models', {}, '200'],
    ['GET', '/v1/models/none', {}, '404 MODEL_NOT_FOUND'],
    ['GET', '/v1/autoglm/mesh', {}, '200'],
    ['GET', '/v1/autoglm/requests', {}, '200'],
    ['GET', '/load', {}, '200'],
    ['GET', '/health', {}, '200'],
    ['GET', '/version', {}, '200'],
    ['GET', '/metrics', {}, '200'],
    ['GET', '/', {}, '200'],
    ['GET', '/console/none.js', {}, '404 NOT_FOUND'],
    ['POST', '/v1/chat/completions', { body: '{"messages":' }, '400 INVALID_REQUEST'],
    ['POST', '/v1/chat/completions', { body: '{}', headers: JSON_TYPE }, '401 UNAUTHENTICATED'],
    ['PUT', '/v1/models', {}, '405 METHOD_NOT_ALLOWED'],
    ['GET', '/nowhere/at/all', {}, '404 NOT_FOUND'],
    ['GET', '/v1/models/%zz', {}, '400 INVALID_REQUEST'],
  ];
  it('tells how long an answer took, and its first token, in the metrics too', async () => {
    const waitMs = 30;
    harness.backbone.script = async function* () {
      yield accepted();
      await delay(waitMs);
      yield delta({ text: 'Hello' });
      yield* saying(' world');
    };
    const sumOf = async (name: string) => {
      const page = await (await harness.get('/metrics')).text();
      const sums = page.matchAll(new RegExp(`^${name}_sum(?:\\{.*\\})? (\\S+)$`, 'gm'));
      return [...sums].reduce((sum, [, value]) => sum + Number(value), 0);
    };
    const names = ['http_request_duration_seconds', 'gateway_time_to_first_token_seconds'];
    const sumsOf = () => Promise.all(names.map((name) => sumOf(`autoglm:${name}`)));
    const before = await sumsOf();

    const response = await harness.post('/v1/chat/completions', CHAT, {
      headers: WITH_KEY,
    });
    await response.text();
    const line = (await accessLines(2)).find(({ msg }) => msg.startsWith('POST'));

    assert(Number(line?.elapsed_ms) >= waitMs, JSON.stringify(line));
    for (const [i, sum] of (await sumsOf()).entries()) {
      assert(sum - (before[i] ?? 0) >= waitMs / 1000, names[i]);
    }
  });

  for (const [method, path, init, outcome] of asked) {
    it(`has one line of ${method} ${path} that ends with ${outcome}`, async () => {
      const headers = init.body === wav ? { authorization: WITH_KEY.authorization } : WITH_KEY;
      const answer = await harness.get(path, { method, headers, ...init });
      await answer.arrayBuffer();

      const found = await accessLines();

      assert.equal(found.length, 1, JSON.stringify(found));
      const [line] = found;
      const reason = line?.reason === undefined ? '' : ` ${line.reason}`;
      assert.equal(`${line?.status}${reason}`, outcome);
      assert.equal(line?.request_id, answer.headers.get('x-request-id'));
    });
  }

  it('has one line of bytes that are not HTTP, and counts them', async () => {
    const answer = await raw('NONSENSE\r\n\r\n');
    assert.match(answer, /^HTTP\/1\.1 400 /);

    const [line, ...others] = await accessLines();

    assert.deepEqual([line?.msg, line?.reason], ['malformed HTTP 400', 'INVALID_REQUEST']);
    assert.deepEqual(others, []);
    const page = await (await harness.get('/metrics')).text();
    const labels = 'handler="unknown",method="unknown",status="4xx"';
    assert.match(page, new RegExp(`^http_requests_total{.*${labels}.*} 1$`, 'm'));
  });

  it('holds no key, wherever a client writes it', async () => {
    const query = `/v1/models?api_key=${KEY}&key=${KEY}`;
    await (await harness.get(query, { headers: { 'x-api-key': KEY } })).text();
    await (await harness.get(`/${KEY}`, { headers: { cookie: `key=${KEY}` } })).text();
    await (await harness.get(`/v1/models/${KEY}`, { headers: WITH_KEY })).text();
    const wrong = { ...JSON_TYPE, authorization: `Bearer ${KEY}x`, 'x-api-key': `${KEY}y` };
    const body = JSON.stringify({ ...CHAT, api_key: KEY });
    await (await harness.post('/v1/chat/completions', body, { headers: wrong })).text();
    await (await harness.post('/v1/chat/completions', body, { headers: WITH_KEY })).text();

    await accessLines(5);

    for (const line of lines) assert(!JSON.stringify(line).includes(KEY), JSON.stringify(line));
  });

  /** Returns the requests that run, as the gateway shows them. */
  async function running(): Promise<readonly RequestView[]> {
    const { data } = await jsonOf(await harness.get('/v1/autoglm/requests', { headers: WITH_KEY }));
    assert(Array.isArray(data));
    return data.filter((one: RequestView) => one.status === null);
  }

  for (const stream of [true, false]) {
    const what = stream ? 'a stream' : 'an answer';
    it(`has one line of ${what} whose client leaves, and no longer counts it as running`, async () => {
      let onBegun = () => {};
      const begun = new Promise<void>((resolve) => {
        onBegun = resolve;
      });
      harness.backbone.script = async function* (_, signal) {
        yield accepted();
        yield delta({ text: 'Hel' });
        onBegun();
        await aborted(signal);
      };
      const leaving = new AbortController();
      const body = JSON.stringify({ ...CHAT, stream });
      const init = { method: 'POST', headers: WITH_KEY, body, signal: leaving.signal };
      const answer = fetch(`${harness.url}/v1/chat/completions`, init);
      if (stream) await answer;
      await within(begun, { what: 'the first token' });
      assert.equal((await running()).length, 1);

      leaving.abort();

      await answer.then((one) => one.text()).catch(() => {});
      const found = await accessLines(3);
      const [line, ...others] = found.filter(({ msg }) => msg.startsWith('POST'));
      assert.equal(line?.reason, 'CANCELLED');
      assert.equal(line?.status, stream ? 200 : 499);
      assert.deepEqual(others, []);
      assert.deepEqual(await running(), []);
    });
  }

  it('has one line of a request whose client leaves within its body', async () => {
    const socket = connect(Number(new URL(harness.url).port), '127.0.0.1');
    const head = [
      ...['POST /v1/chat/completions HTTP/1.1', 'host: 127.0.0.1', 'content-length: 100'],
      ...['content-type: application/json', `authorization: ${WITH_KEY.authorization}`],
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n{"messages"`);
    const begun = async () => {
      while ((await running()).length === 0) await new Promise((next) => setImmediate(next));
    };
    await within(begun(), { what: 'the request' });

    socket.destroy();

    const ended = async () => {
      while ((await running()).length > 0) await new Promise((next) => setImmediate(next));
    };
    await within(ended(), { what: 'its end' });
    const found = lines.slice(numBefore).filter(({ msg }) => msg.startsWith('POST'));
    assert.deepEqual(
      found.map(({ msg, reason }) => [msg, reason]),
      [['POST /v1/chat/completions 499', 'CANCELLED']],
    );
  });

  /** Sends bytes and returns all that comes back. */
  function raw(text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(Number(new URL(harness.url).port), '127.0.0.1', () => {
        socket.end(text);
      });
      let answer = '';
      socket.setEncoding('utf8').on('data', (piece: string) => {
        answer += piece;
      });
      socket.on('end', () => resolve(answer)).on('error', reject);
    });
  }
});
