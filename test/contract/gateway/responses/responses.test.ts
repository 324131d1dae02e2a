import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import OpenAI from 'openai';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import {
  aborted,
  accepted,
  candidate,
  delta,
  FakeBackbone,
  finished,
  saying,
  stopped,
} from '../fake-backbone.ts';
import {
  errorOf,
  type Harness,
  type HarnessOptions,
  jsonOf,
  startHarness,
  untilReady,
} from '../harness.ts';

const PATH = '/v1/responses';
const ASK = { input: 'hi' };
const STREAM = { ...ASK, stream: true };
const KEY = 'a0e1c8c4-0d4f-4a0e-9f39-6f2d5a8f2f0c';

let harness: Harness;
afterEach(() => harness.close());

async function start(options: HarnessOptions = {}): Promise<Harness> {
  harness = await startHarness(options);
  return harness;
}

function post(body: unknown, headers = {}): Promise<Response> {
  return harness.post(PATH, body, {
    headers: { 'content-type': 'application/json', ...headers },
  });
}

/** Returns the events of a stream, each with its name checked; comments are left out. */
function eventsIn(text: string): Readonly<Record<string, unknown>>[] {
  const frames = text.split('\n\n').filter((frame) => frame !== '' && !frame.startsWith(':'));
  return frames.map((frame) => {
    const [name = '', data = ''] = frame.split('\n');
    const event: unknown = JSON.parse(data.replace(/^data: /, ''));
    assert(isRecord(event));
    assert.equal(name, `event: ${String(event['type'])}`);
    return event;
  });
}

const typesIn = (text: string) => eventsIn(text).map(({ type }) => type);

/** Says one token, and fails. */
async function* breaking() {
  yield accepted();
  yield delta({ text: 'a' });
  throw new MeshError('ENGINE_FAILED', 'lost a bit');
}

describe('POST /v1/responses', () => {
  it('needs a key and a known method, and keeps nothing that could be asked for', async () => {
    const { url } = await start({ apiKey: 'key' });
    const ask = (method: string, path: string) =>
      fetch(url + path, { method, headers: { authorization: 'Bearer key' } });

    assert.equal((await post(ASK)).status, 401);
    const get = await ask('GET', PATH);
    assert.equal(get.status, 405);
    assert.equal(get.headers.get('allow'), 'POST');
    for (const [method, path] of [
      ['GET', '/v1/responses/resp_1'],
      ['DELETE', '/v1/responses/resp_1'],
      ['POST', '/v1/responses/resp_1/cancel'],
      ['GET', '/v1/responses/resp_1/input_items'],
    ] as const) {
      const response = await ask(method, path);
      assert.equal(response.status, 404);
      assert.match((await errorOf(response)).message, /nothing is stored here/);
    }
  });

  it('refuses what it cannot do with the field at fault, whether streamed or not', async () => {
    await start();
    for (const body of [ASK, STREAM]) {
      const response = await post({ ...body, previous_response_id: 'resp_1' });

      assert.equal(response.status, 400);
      const { type, param, code } = await errorOf(response);
      assert.deepEqual(
        [type, param, code],
        ['invalid_request_error', 'previous_response_id', 'invalid_request'],
      );
    }
    assert.equal(harness.backbone.starts.length, 0);
  });

  it("translates the backbone's refusals", async () => {
    await start();
    const input = [
      { role: 'user', content: 'a' },
      { role: 'user', content: 'b' },
    ];
    for (const [param, field] of [
      ['sampling.max_tokens', 'max_output_tokens'],
      ['prompt.chat.messages', 'input'],
      ['prompt.chat.messages[1].content', 'input[0].content'],
      ['prompt.chat.messages[2].content', 'input[1].content'],
      ['structured_output.json_schema', 'text.format.schema'],
      ['output.num_logprobs', 'top_logprobs'],
    ] as const) {
      harness.backbone.script = async function* () {
        throw new MeshError('INVALID_REQUEST', `${param}: no`, { param });
      };
      const format = { type: 'json_schema', name: 'a', schema: {} };
      const { message, param: named } = await errorOf(
        await post({ input, instructions: 'x', text: { format } }),
      );

      assert.deepEqual([named, message], [field, `${field}: no`]);
    }
  });

  it('says which fields it does not know, and names the request as its body does', async () => {
    await start();
    harness.backbone.script = () => saying('Hi');

    const response = await post({ ...ASK, temprature: 1, request_id: 'mine' });

    assert.match(String(response.headers.get('x-autoglm-warning')), /temprature.*temperature/);
    assert.equal(response.headers.get('x-request-id'), 'mine');
    assert.equal((await jsonOf(response))['id'], 'resp_mine');
  });

  it('is counted under its own route', async () => {
    await start();
    harness.backbone.script = () => saying('Hi');
    await (await post(ASK)).text();

    const metrics = await (await harness.get('/metrics')).text();

    assert.match(
      metrics,
      /http_requests_total\{handler="\/v1\/responses",method="POST",status="2xx"\} 1/,
    );
  });

  it('is cancelled when its client leaves', async () => {
    const { backbone } = await start();
    backbone.script = async function* (_, signal) {
      yield accepted();
      await aborted(signal);
    };
    const controller = new AbortController();
    const response = await harness.post(PATH, STREAM, {
      signal: controller.signal,
      headers: { 'content-type': 'application/json' },
    });
    assert.equal(response.status, 200);

    controller.abort();

    await backbone.until('cancelled');
  });

  it('is answered as before if it is repeated with its Idempotency-Key', async () => {
    await start();
    harness.backbone.script = () => saying('a', 'b');
    const headers = { 'idempotency-key': KEY };

    const first = await (await post(STREAM, headers)).text();
    const again = await post(STREAM, headers);

    assert.equal(again.headers.get('idempotent-replayed'), 'true');
    assert.equal(await again.text(), first);
    assert.equal(harness.backbone.starts.length, 1);
  });
});

describe('A stream of a response', () => {
  it('that breaks off ends as failed, with what there was', async () => {
    await start();
    harness.backbone.script = breaking;

    const events = eventsIn(await (await post(STREAM)).text());

    const last = events.at(-1);
    assert.equal(last?.['type'], 'response.failed');
    assert.equal(last?.['sequence_number'], events.length - 1);
    const { response } = last ?? {};
    assert(isRecord(response) && isRecord(response['error']));
    assert.equal(response['status'], 'failed');
    assert.deepEqual(response['error'], {
      code: 'server_error',
      message: 'lost a bit',
      doc: 'services/mesh/ERRORS.md#engine_failed',
    });
    assert.match(JSON.stringify(response['output']), /"incomplete".*"text":"a"/);
  });

  it('that breaks off is a failed response for the openai package', async () => {
    const { url } = await start();
    harness.backbone.script = breaking;
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'key', maxRetries: 0 });

    const response = await client.responses
      .stream({ model: 'phone-nano', input: 'hi' })
      .finalResponse();

    assert.equal(response.status, 'failed');
    assert.equal(response.error?.message, 'lost a bit');
  });

  it('is a plain refusal while nothing has been sent', async () => {
    await start();
    harness.backbone.script = async function* () {
      throw new MeshError('QUEUE_FULL', 'later');
    };

    const response = await post(STREAM);

    assert.equal(response.status, 429);
    assert.equal((await errorOf(response)).type, 'rate_limit_error');
  });

  it('has an error alone if it fails after a silence', async () => {
    await start({ heartbeatIntervalS: 0.01 });
    let fail = () => {};
    const told = new Promise<void>((resolve) => {
      fail = resolve;
    });
    harness.backbone.script = async function* () {
      await told;
      throw new MeshError('ENGINE_FAILED', 'lost a bit');
    };

    // The answer has begun with a comment.
    const response = await post(STREAM);
    fail();
    const text = await response.text();

    assert.match(text, /^:/);
    assert.deepEqual(eventsIn(text), [
      {
        type: 'error',
        sequence_number: 0,
        code: 'engine_failed',
        message: 'lost a bit',
        param: null,
        doc: 'services/mesh/ERRORS.md#engine_failed',
      },
    ]);
  });

  it('of a fallback model is whole and has its own numbers', async () => {
    const backbones = [new FakeBackbone(['big']), new FakeBackbone(['small'])];
    await start({ backbones, fallbackModel: ['big=small'] });
    const [big, small] = backbones;
    assert(big !== undefined && small !== undefined);
    small.script = () => saying('Hi');
    await big.kill();
    await untilReady(harness.url, 1);

    const response = await post({ ...STREAM, model: 'big' });

    assert.equal(response.headers.get('x-autoglm-served-by'), 'fallback-model:small');
    const events = eventsIn(await response.text());
    assert.deepEqual(
      events.map((one) => one['sequence_number']),
      events.map((_, i) => i),
    );
    assert.equal(events.at(-1)?.['type'], 'response.completed');
  });

  it('has an error alone if all that was held back is lost after a silence', async () => {
    await start({ heartbeatIntervalS: 0.01, fallbackModel: ['phone-nano=absent'] });
    let fail = () => {};
    const told = new Promise<void>((resolve) => {
      fail = resolve;
    });
    harness.backbone.script = async function* () {
      yield accepted();
      await told;
      throw new MeshError('ENGINE_FAILED', 'lost a bit');
    };

    const response = await post(STREAM);
    fail();

    assert.deepEqual(typesIn(await response.text()), ['error']);
  });

  it('has no more log-probabilities than a whole answer, since its end repeats them', async () => {
    await start({ maxAnswerLogprobs: 1000 });
    const top = Array.from({ length: 9 }, (_, i) => candidate(i, 'x', -1));
    const scored = { text: 'x', logprobs: [{ token: candidate(1, 'x', -1), rank: 1, top }] };
    harness.backbone.script = async function* () {
      yield accepted();
      for (let i = 0; i < 101; i++) yield delta(scored);
      yield finished({ choices: [stopped()] });
    };

    const text = await (await post({ ...STREAM, top_logprobs: 9 })).text();

    const last = eventsIn(text).at(-1);
    assert.equal(last?.['type'], 'response.failed');
    assert.match(JSON.stringify(last), /invalid_prompt.*over 1000 log-probabilities/);
  });
});
