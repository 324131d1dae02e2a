import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, it } from 'node:test';
import { watchProcess } from '#mesh/process/process-metrics.ts';
import { Modality } from '#protos/autoglm/common/v1/media.ts';
import { EncoderReadiness } from '#protos/autoglm/mesh/v1/instance.ts';
import { FakeBackbone } from './fake-backbone.ts';
import {
  CHAT,
  errorOf,
  type Harness,
  type HarnessOptions,
  jsonOf,
  startHarness,
  untilReady,
} from './harness.ts';

const PATH = '/v1/chat/completions';
const JSON_TYPE = { 'content-type': 'application/json' };

let harness: Harness;

async function start(options: HarnessOptions = {}): Promise<Harness> {
  harness = await startHarness(options);
  return harness;
}

describe('The HTTP server', () => {
  afterEach(() => harness.close());

  it('refuses malformed JSON without repeating it', async () => {
    const { post } = await start();

    const response = await post(PATH, '{"messages": secret}');

    assert.equal(response.status, 400);
    const { message, code } = await errorOf(response);
    assert.match(message, /not valid JSON/);
    assert(!message.includes('secret'));
    assert.equal(code, 'invalid_request');
  });

  it('refuses an empty body', async () => {
    const { post } = await start();

    const response = await post(PATH, '');

    assert.equal(response.status, 400);
    assert.match((await errorOf(response)).message, /body/i);
  });

  it('refuses a body that is not an object', async () => {
    const { post } = await start();

    const response = await post(PATH, '[]');

    assert.equal(response.status, 400);
    assert.match((await errorOf(response)).message, /must be a JSON object, got a list of 0/);
  });

  it('refuses deep nesting', async () => {
    const { post } = await start();

    const response = await post(PATH, `${'['.repeat(100_000)}${']'.repeat(100_000)}`);

    assert.equal(response.status, 400);
    assert.match((await errorOf(response)).message, /deeper than 32/);
  });

  it('refuses a body over the limit with 413 and names the key', async () => {
    const { post } = await start({ maxBodyMb: 0.001 });

    const response = await post(PATH, { messages: [{ role: 'user', content: 'a'.repeat(2000) }] });

    assert.equal(response.status, 413);
    assert.match((await errorOf(response)).message, /max-body-mb/);
  });

  it('refuses another content type with 415', async () => {
    const { post } = await start();

    const response = await post(PATH, 'messages=hi', { headers: { 'content-type': 'text/plain' } });

    assert.equal(response.status, 415);
    assert.equal((await errorOf(response)).code, 'unsupported_content_type');
  });

  it('answers 404 for an unknown path and 405 for a wrong method', async () => {
    const { get, post } = await start();

    const unknown = await get('/v1/moderations');
    const wrong = await get(PATH);
    const wrongToo = await post('/v1/models', {});

    assert.equal(unknown.status, 404);
    assert.equal((await errorOf(unknown)).code, 'not_found');
    assert.equal(wrong.status, 405);
    assert.equal(wrong.headers.get('allow'), 'POST');
    assert.equal((await errorOf(wrong)).code, 'method_not_allowed');
    assert.equal(wrongToo.status, 405);
    await wrongToo.text();
  });

  it('repeats no more than 200 characters of a path', async () => {
    const { post } = await start();

    const response = await post(`/v1/models/${'x'.repeat(600)}`, {});

    assert.equal(response.status, 405);
    assert.doesNotMatch((await errorOf(response)).message, /x{200}/);
  });

  it('refuses what is not HTTP, and a path it cannot decode', async () => {
    const { get, url } = await start();
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.end('NONSENSE\r\n\r\n');

    const answer = await text(socket);
    const undecodable = await get('/v1/models/%E0%A4%A');

    assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
    assert.match(answer, /"type":"invalid_request_error"/);
    assert.match(answer, /\r\nx-request-id: [0-9a-f-]{36}\r\n/);
    assert(undecodable.headers.get('x-request-id'));
    assert.equal(undecodable.status, 400);
    assert.equal((await errorOf(undecodable)).code, 'invalid_request');
  });

  it('asks for a key everywhere but at the probes', async () => {
    const { get, post } = await start({ apiKey: 'one, two' });
    const as = (authorization: string) => ({ headers: { ...JSON_TYPE, authorization } });

    const statuses = await Promise.all([
      post(PATH, CHAT),
      post(PATH, CHAT, as('Bearer three')),
      post(PATH, CHAT, as('Basic one')),
      post(PATH, CHAT, as('Bearer one')),
      post(PATH, CHAT, as('bearer two')),
      get('/v1/models'),
      get('/tokenize'),
      get('/health'),
      get('/ping'),
      get('/version'),
      get('/metrics'),
    ]);

    assert.deepEqual(
      statuses.map(({ status }) => status),
      [401, 401, 401, 200, 200, 401, 401, 200, 200, 200, 200],
    );
    const [refused] = statuses;
    assert.equal(refused?.headers.get('www-authenticate'), 'Bearer');
    assert(refused?.headers.get('x-request-id'));
    assert.equal((await errorOf(refused)).type, 'authentication_error');
  });

  it('allows the configured origins and answers their preflights without a key', async () => {
    const { url } = await start({ apiKey: 'one', corsAllowOrigin: ['https://a.example'] });
    const preflight = (origin: string) =>
      fetch(`${url}${PATH}`, { method: 'OPTIONS', headers: { origin } });

    const allowed = await preflight('https://a.example');
    const other = await preflight('https://b.example');

    assert.equal(allowed.status, 204);
    assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://a.example');
    assert.equal(other.headers.get('access-control-allow-origin'), null);
  });

  it('reports health by the backbones', async () => {
    const { backbone, get, post, url } = await start();

    const ready = await get('/health');
    backbone.health.setServing(false);
    await untilReady(url, 0);
    const notReady = await post('/ping', {});

    assert.equal(ready.status, 200);
    assert.deepEqual(await ready.json(), { status: 'ready', backbones_ready: 1, backbones: 1 });
    assert.equal(notReady.status, 503);
    assert.match(await notReady.text(), /no llm-backbone is ready/);
  });

  it('stays healthy, and names the media that are away, while text can be generated', async () => {
    const { backbone, get } = await start();
    const image = { modality: Modality.MODALITY_IMAGE, numReady: 1, numKnown: 1 };
    const audio = { modality: Modality.MODALITY_AUDIO, numReady: 0, numKnown: 1 };

    backbone.encoders = [image, audio].map((one) => EncoderReadiness.fromPartial(one));
    backbone.status.change({});

    for (;;) {
      const health = await get('/health');
      assert.equal(health.status, 200);
      const { status, away } = await jsonOf(health);
      if (status === 'ready') continue;
      assert.deepEqual([status, away], ['degraded', ['audio']]);
      break;
    }
  });

  it('follows a backbone across its restart', async () => {
    const { backbone, post, url } = await start();
    const { address } = backbone;
    await backbone.kill();
    await untilReady(url, 0);
    const restarted = new FakeBackbone();

    await restarted.start(address);
    await untilReady(url, 1);

    const response = await post(PATH, CHAT);
    await restarted.kill();
    assert.equal(response.status, 200);
  });

  it('lists models with their context length, under names with slashes too', async () => {
    const { get } = await start({ backbones: [new FakeBackbone(['nano', 'zai-org/AutoGLM'])] });
    const nano = {
      id: 'nano',
      object: 'model',
      created: 1_700_000_000,
      owned_by: 'autoglm-mesh',
      root: 'phone-nano',
      parent: null,
      max_model_len: 512,
      architecture: { input_modalities: ['text', 'image', 'audio'], output_modalities: ['text'] },
    };

    const list = await (await get('/v1/models')).json();
    const plain = await (await get('/v1/models/zai-org/AutoGLM')).json();
    const encoded = await (await get('/v1/models/zai-org%2FAutoGLM')).json();
    const unknown = await get('/v1/models/other');

    assert.deepEqual(list, { object: 'list', data: [nano, { ...nano, id: 'zai-org/AutoGLM' }] });
    assert.deepEqual(plain, { ...nano, id: 'zai-org/AutoGLM' });
    assert.deepEqual(encoded, plain);
    assert.equal(unknown.status, 404);
    await unknown.text();
  });

  it('tokenizes and detokenizes in the shape of vLLM', async () => {
    const { backbone, post } = await start();

    const text = await (await post('/tokenize', { prompt: 'Hey' })).json();
    const chat = await jsonOf(await post('/tokenize', { ...CHAT, return_token_strs: true }));
    const back = await (await post('/detokenize', { tokens: [1, 2] })).json();
    const both = await post('/tokenize', { ...CHAT, prompt: 'Hey' });

    assert.deepEqual(text, { count: 2, max_model_len: 512, tokens: [11, 12], token_strs: null });
    assert.deepEqual(chat['token_strs'], ['He', 'y']);
    assert.deepEqual(back, { prompt: '<1><2>' });
    assert.equal(both.status, 400);
    await both.text();
    assert.deepEqual(backbone.trace, [
      'tokenize phone-nano text 0',
      'tokenize phone-nano chat 0',
      'detokenize 1,2',
    ]);
    // Texts of tokens that nobody asked for are not sent either.
    assert.deepEqual(
      backbone.tokenized.map(({ returnTokenStrings }) => returnTokenStrings),
      [false, true],
    );
  });

  it('serves its metrics and those of the backbones under both prefixes', async () => {
    const { backbone, get, post } = await start();
    const tokens = backbone.metrics.counter('generation_tokens', 'Tokens.');
    tokens.add(3, { model_name: 'nano' });
    await (await post(PATH, CHAT)).text();

    const response = await get('/metrics');

    const text = await response.text();
    const labels = `engine="0",address="${backbone.address}",model_name="nano"`;
    assert.match(response.headers.get('content-type') ?? '', /text\/plain; version=0\.0\.4/);
    for (const line of [
      `autoglm:generation_tokens_total{${labels}} 3`,
      `vllm:generation_tokens_total{${labels}} 3`,
      `http_requests_total{handler="${PATH}",method="POST",status="2xx"} 1`,
      `autoglm:gateway_backbone_ready{address="${backbone.address}"} 1`,
      'autoglm:gateway_requests_in_flight 0',
    ]) {
      assert(text.split('\n').includes(line), `${line} in\n${text}`);
    }
  });

  it('serves what every process measures of itself under the names of Prometheus clients', async () => {
    const { backbone, get } = await start();
    watchProcess(backbone.metrics, 'llm-backbone');

    const text = await (await get('/metrics')).text();

    const backboneLabels = `engine="0",address="${backbone.address}",role="llm-backbone"`;
    for (const labels of ['role="gateway"', backboneLabels]) {
      for (const name of ['process_open_fds', 'process_restarts_total', 'autoglm_build_info']) {
        assert(text.includes(`\n${name}{${labels}`), `${name}{${labels}} in\n${text}`);
      }
    }
    assert.doesNotMatch(text, /(vllm|autoglm):(process|autoglm_build)_/);
    // Prometheus gives this label to what it scrapes.
    assert.doesNotMatch(text, /[{,]instance="/);
  });

  it('serves the metrics of encoders under its own prefix', async () => {
    const encoder = new FakeBackbone();
    await encoder.start();
    encoder.metrics.counter('encoder_items', 'Items.').add(2, { result: 'ok' });
    const { get } = await start({ scrape: [encoder.address, '127.0.0.1:1'] });

    const text = await (await get('/metrics')).text();
    await encoder.kill();

    const sample = `encoder_items_total{address="${encoder.address}",result="ok"} 2`;
    assert(text.split('\n').includes(`autoglm:${sample}`), text);
    assert.doesNotMatch(text, /vllm:encoder_items/);
  });

  it('makes one page of metrics for all who ask while it is made', async () => {
    const { backbone, get } = await start();
    let release = () => {};
    backbone.metricsHold = new Promise((resolve) => {
      release = resolve;
    });

    const asked = Array.from({ length: 8 }, () => get('/metrics'));
    while (backbone.numScrapes === 0) await get('/livez');
    await get('/livez');
    release();
    const pages = await Promise.all(asked.map(async (answer) => (await answer).text()));
    const numShared = backbone.numScrapes;
    await (await get('/metrics')).text();

    assert.equal(numShared, 1);
    assert.equal(backbone.numScrapes, 2);
    assert.equal(new Set(pages).size, 1);
  });

  it('does not wait for a backbone that hangs in a scrape', async () => {
    const { backbone, get } = await start();
    let release = () => {};
    backbone.metricsHold = new Promise((resolve) => {
      release = resolve;
    });

    const text = await (await get('/metrics')).text();
    release();

    assert.match(text, /autoglm:gateway_backbone_ready/);
  });
});
