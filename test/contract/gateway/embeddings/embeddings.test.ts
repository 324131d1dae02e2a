import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { OpenAIEmbeddings } from '@langchain/openai';
import OpenAI from 'openai';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import { DType } from '#protos/autoglm/common/v1/tensor.ts';
import { type GenerateStart, Pooling } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { accepted, type Events, FakeBackbone, finished } from '../fake-backbone.ts';
import { errorOf, type Harness, jsonOf, startHarness, untilReady } from '../harness.ts';
import { dataUrl, PNG } from '../media-files.ts';

const PATH = '/v1/embeddings';
const VECTOR = [0.5, -0.25, 2 ** -30] as const;

function tensorOf(values: readonly number[]) {
  const data = Buffer.alloc(4 * values.length);
  for (const [i, one] of values.entries()) data.writeFloatLE(one, 4 * i);
  return { dtype: DType.D_TYPE_FLOAT32, shape: [values.length], data };
}

/** Answers with a vector whose last number says how long the prompt is. */
async function* embedding({ prompt }: GenerateStart): Events {
  const form = prompt?.form;
  const length = form?.$case === 'text' ? form.value.text.length : 0;
  const values = tensorOf([...VECTOR.slice(0, 2), length]);
  yield accepted({ numPromptTokens: 3, numCachedTokens: 0 });
  yield { event: { $case: 'embedding', value: { values } } };
  yield finished({ numPromptTokens: 3, numCompletionTokens: 0, numCachedTokens: 0 });
}

describe('POST /v1/embeddings', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness();
  });
  after(() => harness.close());
  beforeEach(() => {
    harness.backbone.starts.length = 0;
    harness.backbone.script = embedding;
  });

  async function whole(body: object) {
    const response = await harness.post(PATH, body);
    assert.equal(response.status, 200);
    return await jsonOf(response);
  }

  async function refused(body: object) {
    const response = await harness.post(PATH, body);
    const { message, param } = await errorOf(response);
    return { status: response.status, message, param };
  }

  it('names the one of several inputs that is refused', async () => {
    harness.backbone.script = async function* (start) {
      const form = start.prompt?.form;
      if (form?.$case === 'text' && form.value.text !== '') yield* embedding(start);
      else throw new MeshError('INVALID_REQUEST', 'the prompt has no tokens', { param: 'prompt' });
    };

    const several = await refused({ input: ['a', '', 'b'] });
    const alone = await refused({ input: '' });

    const message = 'the prompt has no tokens';
    assert.deepEqual(several, { status: 400, message: `input[1]: ${message}`, param: 'input[1]' });
    assert.deepEqual(alone, { status: 400, message, param: 'input' });
  });

  it('answers a text with its vector and the tokens it has', async () => {
    const { id, created, ...rest } = await whole({ input: 'four', model: 'phone-nano', user: 'u' });

    assert.match(String(id), /^embd-[0-9a-f]{32}$/);
    assert(Number(created) > 0);
    assert.deepEqual(rest, {
      object: 'list',
      model: 'phone-nano',
      system_fingerprint: 'fp_0123456789',
      data: [{ object: 'embedding', index: 0, embedding: [0.5, -0.25, 4] }],
      usage: {
        prompt_tokens: 3,
        completion_tokens: 0,
        total_tokens: 3,
        prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0, image_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 0 },
      },
    });
    const [start] = harness.backbone.starts;
    assert.deepEqual(start?.embedding, {
      pooling: Pooling.POOLING_LAST,
      dimensions: undefined,
      normalize: undefined,
    });
    assert.equal(start?.sampling?.maxTokens, 0);
  });

  it('writes base64 of little-endian float32', async () => {
    const { data } = await whole({ input: 'abc', encoding_format: 'base64' });

    const text = tensorOf([0.5, -0.25, 3]).data.toString('base64');
    assert.deepEqual(data, [{ object: 'embedding', index: 0, embedding: text }]);
  });

  it('answers hundreds of inputs in their order, a few at once', async () => {
    let numRunning = 0;
    let most = 0;
    harness.backbone.script = async function* (start) {
      most = Math.max(most, ++numRunning);
      await new Promise((resolve) => setImmediate(resolve));
      yield* embedding(start);
      numRunning--;
    };
    const input = Array.from({ length: 300 }, (_, i) => 'x'.repeat(i));

    const { data, usage } = await whole({ input });

    assert(Array.isArray(data) && isRecord(usage));
    const lengths = data.map(({ embedding: vector }) => vector[2]);
    assert.deepEqual(lengths, [...input.keys()]);
    assert.equal(usage['prompt_tokens'], 900);
    assert(most <= 32, `${most} at once`);
  });

  it('takes token ids, and passes options on', async () => {
    const options = { pooling: 'mean', normalize: false, dimensions: 2 };
    await whole({ input: [[1, 2], [3]], truncate_prompt_tokens: 5, priority: 3, ...options });

    const { starts } = harness.backbone;
    const ids = starts.map(({ prompt }) =>
      prompt?.form?.$case === 'tokens' ? prompt.form.value.tokenIds : [],
    );
    assert.deepEqual(ids.toSorted(), [[1, 2], [3]]);
    for (const { embedding: asked, prompt, priority } of starts) {
      const mean = { pooling: Pooling.POOLING_MEAN, normalize: false, dimensions: 2 };
      assert.deepEqual(asked, mean);
      assert.equal(prompt?.maxPromptTokens, 5);
      assert.equal(priority, 3);
    }
  });

  it('takes a conversation with media, without the opening of an answer', async () => {
    const image = { type: 'image_url', image_url: { url: dataUrl('image/png', PNG) } };
    const content = [{ type: 'text', text: 'a cat' }, image];

    await whole({ messages: [{ role: 'user', content }] });

    const [start] = harness.backbone.starts;
    const form = start?.prompt?.form;
    assert(form?.$case === 'chat');
    assert.equal(form.value.addGenerationPrompt, false);
    assert.equal(start?.prompt?.media.length, 1);
    assert.deepEqual(harness.backbone.uploads.at(-1), [PNG]);
  });

  it('is refused in the words of the client', async () => {
    for (const [body, param] of [
      [{}, 'input'],
      [{ input: 'a', messages: [] }, 'messages'],
      [{ input: 'a', messages: [{ role: 'user', content: 'a' }] }, 'input'],
      [{ input: [] }, 'input'],
      [{ input: [[]] }, 'input[0]'],
      [{ input: ['a', 7] }, 'input[1]'],
      [{ input: Array(2049).fill('a') }, 'input'],
      [{ input: Array(2048).fill('a'), dimensions: 4096 }, 'input'],
      [{ input: 'a', encoding_format: 'int8' }, 'encoding_format'],
      [{ input: 'a', dimensions: 0 }, 'dimensions'],
      [{ input: 'a', pooling: 'cls' }, 'pooling'],
      [{ input: 'a', stream: true }, 'stream'],
      [{ input: 'a', truncate_prompt_tokens: 0 }, 'truncate_prompt_tokens'],
      [
        { messages: [{ role: 'user', content: 'a' }], add_special_tokens: true },
        'add_special_tokens',
      ],
    ] as const) {
      const { status, param: named } = await refused(body);
      assert.deepEqual({ status, named }, { status: 400, named: param });
    }
    assert.equal(harness.backbone.starts.length, 0);
  });

  it("translates the backbone's refusals", async () => {
    for (const [mesh, client] of [
      ['embedding.dimensions', 'dimensions'],
      ['prompt.text', 'input'],
    ] as const) {
      harness.backbone.script = async function* () {
        throw new MeshError('INVALID_REQUEST', `${mesh}: got 7`, { param: mesh });
      };

      const { message, param } = await refused({ input: 'a', dimensions: 7 });

      assert.deepEqual({ message, param }, { message: `${client}: got 7`, param: client });
    }
  });

  it('fails, if no vector comes that can be read', async () => {
    const { data, ...rest } = tensorOf(VECTOR);
    const short = { ...rest, data: data.subarray(1) };
    for (const values of [undefined, short, { ...rest, data, dtype: DType.D_TYPE_BFLOAT16 }]) {
      harness.backbone.script = async function* () {
        yield accepted();
        if (values !== undefined) yield { event: { $case: 'embedding', value: { values } } };
        yield finished();
      };

      assert.equal((await refused({ input: 'a' })).status, 500);
    }
  });

  it('is read by the openai and LangChain packages', async () => {
    const baseURL = `${harness.url}/v1`;
    const client = new OpenAI({ baseURL, apiKey: 'key' });
    const configuration = { baseURL };
    const chain = new OpenAIEmbeddings({ model: 'phone-nano', apiKey: 'key', configuration });

    const { data, usage } = await client.embeddings.create({
      model: 'phone-nano',
      input: ['a', 'bc'],
    });

    assert.deepEqual(
      data.map(({ embedding: vector }) => [...vector]),
      [
        [0.5, -0.25, 1],
        [0.5, -0.25, 2],
      ],
    );
    assert.equal(usage.total_tokens, 6);
    assert.deepEqual(await chain.embedDocuments(['a']), [[0.5, -0.25, 1]]);
    assert.deepEqual(await chain.embedQuery('abc'), [0.5, -0.25, 3]);
  });

  it('is counted and kept like other requests', async () => {
    await whole({ input: 'a', request_id: 'embed-me' });

    const metrics = await (await harness.get('/metrics')).text();
    assert.match(metrics, /http_requests_total\{[^}]*handler="\/v1\/embeddings"[^}]*\} [1-9]/);
    const { data } = await jsonOf(await harness.get('/v1/autoglm/requests?id=embed-me'));
    assert(Array.isArray(data));
    const [{ route, model, status, input_tokens, output_tokens }] = data;
    assert.deepEqual(
      { route, model, status, input_tokens, output_tokens },
      {
        route: '/v1/embeddings',
        model: 'phone-nano',
        status: 200,
        input_tokens: 3,
        output_tokens: 0,
      },
    );
  });
});

describe('An embedding whose backbone dies', () => {
  it('is computed by another one', async () => {
    const backbones = [new FakeBackbone(), new FakeBackbone()];
    const harness = await startHarness({ backbones });
    try {
      await untilReady(harness.url, 2);
      let numLost = 0;
      for (const backbone of backbones) {
        backbone.script = async function* (start) {
          if (numLost++ > 0) return yield* embedding(start);
          yield accepted();
          void backbone.kill();
          await new Promise(() => {});
        };
      }

      const response = await harness.post(PATH, { input: 'four' });

      assert.equal(response.status, 200);
      const { data } = await jsonOf(response);
      assert.deepEqual(data, [{ object: 'embedding', index: 0, embedding: [0.5, -0.25, 4] }]);
      assert.equal(numLost, 2);
    } finally {
      await harness.close();
    }
  });

  it('is not given by a fallback model, whose vectors are others', async () => {
    const backbones = [new FakeBackbone(['big']), new FakeBackbone(['small'])];
    const harness = await startHarness({ backbones, fallbackModel: ['big=small'] });
    try {
      for (const backbone of backbones) backbone.script = embedding;
      await backbones[0]?.kill();

      const response = await harness.post(PATH, { input: 'a', model: 'big' });

      assert.equal(response.status, 503);
      assert.equal(backbones[1]?.starts.length, 0);
    } finally {
      await harness.close();
    }
  });
});
