import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { MeshError } from '#mesh/errors.ts';
import { saying } from './fake-backbone.ts';
import { errorOf, eventsOf, type Harness, startHarness } from './harness.ts';

const PATH = '/v1/chat/completions';
const WARNING = 'x-autoglm-warning';
const MESSAGES = '"messages":[{"role":"user","content":"hi"}]';

describe('fields of requests', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness();
  });
  after(() => harness.close());

  it('that are misspelled are named in a header of the answer, streamed or not', async () => {
    for (const stream of [false, true]) {
      const body = `{${MESSAGES},"temprature":0.5,"stream":${stream},"frob\\u00e9":1}`;

      const response = await harness.post(PATH, body);

      assert.equal(response.status, 200);
      const warning = 'temprature is not known (did you mean temperature?), frob? is not known';
      assert.equal(response.headers.get(WARNING), warning);
      await response.text();
    }
  });

  it('that every server knows bring no warning', async () => {
    const body = `{${MESSAGES},"user":"me","metadata":{},"parallel_tool_calls":true,"store":false}`;

    const response = await harness.post(PATH, body);

    assert.equal(response.headers.get(WARNING), null);
    await response.text();
  });

  it('that are misspelled are named for tokens too', async () => {
    const tokenized = await harness.post('/tokenize', { prompt: 'a', add_special_token: true });
    const text = await harness.post('/detokenize', { tokens: [1], modle: 'x' });

    assert.match(tokenized.headers.get(WARNING) ?? '', /add_special_tokens/);
    assert.match(text.headers.get(WARNING) ?? '', /did you mean model/);
    await Promise.all([tokenized.text(), text.text()]);
  });

  it('keep every digit of a seed', async () => {
    for (const [seed, sent] of [
      ['9007199254740993', 9007199254740993n],
      ['18446744073709551615', 2n ** 64n - 1n],
      ['-9223372036854775807', 2n ** 63n + 1n],
      ['42', 42n],
    ] as const) {
      // The text of a message is not searched for a seed.
      const messages = '"messages":[{"role":"user","content":"{\\"seed\\": 9007199254740995}"}]';

      const top = await harness.post(PATH, `{${messages},"seed" : ${seed}}`);
      const nested = await harness.post(PATH, `{${messages},"extra_body":{"seed":${seed}\n}}`);

      assert.deepEqual([top.status, nested.status], [200, 200]);
      const seeds = harness.backbone.starts.slice(-2).map(({ sampling }) => sampling?.seed);
      assert.deepEqual(seeds, [sent, sent]);
      await Promise.all([top.text(), nested.text()]);
    }
  });

  it('refuse a seed beyond 64 bits, whatever its digits', async () => {
    for (const seed of ['18446744073709551616', '-9223372036854775809', '1e30', '1.5']) {
      const response = await harness.post(PATH, `{${MESSAGES},"seed":${seed}}`);

      assert.equal(response.status, 400);
      assert.equal((await errorOf(response)).param, 'seed');
    }
  });

  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const requests: readonly (readonly [what: string, path: string, body: string])[] = [
      ['a role', PATH, `{"messages":[{"role":"${name}","content":"hi"}]}`],
      ['a type of part', PATH, `{"messages":[{"role":"user","content":[{"type":"${name}"}]}]}`],
      ['a model', PATH, `{${MESSAGES},"model":"${name}"}`],
      ['an effort', PATH, `{${MESSAGES},"reasoning_effort":"${name}"}`],
      ['a type of thinking', PATH, `{${MESSAGES},"thinking":{"type":"${name}"}}`],
      ['a format', PATH, `{${MESSAGES},"response_format":{"type":"${name}"}}`],
      ['a token of logit_bias', PATH, `{${MESSAGES},"logit_bias":{"${name}":1}}`],
      ['a choice of tools', PATH, `{${MESSAGES},"tool_choice":"${name}"}`],
      ['a model', '/tokenize', `{"prompt":"a","model":"${name}"}`],
    ];
    for (const [what, path, body] of requests) {
      it(`refuse ${what} of the name ${name} in ${path}`, async () => {
        const response = await harness.post(path, body);

        assert(response.status === 400 || response.status === 404, String(response.status));
        await errorOf(response);
      });
    }

    it(`take ${name} as a field, an argument and an option for nothing`, async () => {
      const body = `{${MESSAGES},"${name}":{"n":2},"chat_template_kwargs":{"${name}":{"a":1}}}`;

      const response = await harness.post(PATH, body);

      assert.equal(response.status, 200);
      assert.equal(harness.backbone.starts.at(-1)?.sampling?.numChoices, undefined);
      await response.text();
    });
  }
});

describe('x-should-retry', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness();
  });
  after(() => harness.close());

  for (const [reason, status, retry] of [
    ['INVALID_REQUEST', 400, 'false'],
    ['CONTEXT_LENGTH_EXCEEDED', 400, 'false'],
    ['MEDIA_FETCH_FAILED', 424, 'false'],
    ['QUEUE_FULL', 429, 'true'],
    ['ENGINE_FAILED', 500, 'true'],
    ['DRAINING', 503, 'true'],
    ['DEADLINE_EXCEEDED', 504, 'false'],
  ] as const) {
    it(`of a ${status} for ${reason} is ${retry}, streamed or not`, async () => {
      harness.backbone.script = async function* () {
        yield* [];
        throw new MeshError(reason, 'scripted');
      };

      for (const stream of [false, true]) {
        const response = await harness.post(PATH, `{${MESSAGES},"stream":${stream}}`);

        assert.equal(response.status, status);
        assert.equal(response.headers.get('x-should-retry'), retry);
        await response.text();
      }
    });
  }

  it('is no part of an answer', async () => {
    harness.backbone.script = () => saying('a');

    const response = await harness.post(PATH, `{${MESSAGES},"stream":true}`);

    assert.equal(response.headers.get('x-should-retry'), null);
    assert.equal(eventsOf(await response.text()).at(-1), '[DONE]');
  });
});
