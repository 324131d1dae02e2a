import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { ChatOpenAI } from '@langchain/openai';
import OpenAI from 'openai';
import { MeshError } from '#mesh/errors.ts';
import { Channel } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { aborted, accepted, candidate, delta, finished, saying, stopped } from './fake-backbone.ts';
import { type Harness, startHarness } from './harness.ts';
import { dataUrl, PNG } from './media-files.ts';

const MESSAGES = [{ role: 'user', content: 'hi' }] satisfies OpenAI.ChatCompletionMessageParam[];
const MODEL = 'phone-nano';
const THINKING = { enable_thinking: false, return_reasoning: true };

let harness: Harness;
before(async () => {
  harness = await startHarness({ apiKey: 'key' });
});
after(() => harness.close());
beforeEach(() => {
  harness.backbone.script = async function* () {
    yield accepted();
    yield delta({ text: 'hm', channel: Channel.CHANNEL_REASONING });
    yield delta({ text: 'Hello' });
    yield delta({ text: ' world' });
    yield finished({ numCompletionTokens: 3 });
  };
});

/**
 * Asserts that the last request switched thinking off and asked for thoughts apart from the answer.
 */
function assertThinkingFields(): void {
  const start = harness.backbone.starts.at(-1);
  const form = start?.prompt?.form;
  assert(form?.$case === 'chat');
  assert.deepEqual(form.value.templateArgs, { enable_thinking: false });
  assert.equal(start?.output?.splitReasoning, true);
}

describe('The openai package', () => {
  const client = (options = {}) =>
    new OpenAI({ baseURL: `${harness.url}/v1`, apiKey: 'key', ...options });

  it('completes a chat with extra fields at the top level', async () => {
    const body = { model: MODEL, messages: MESSAGES, ...THINKING };

    const completion = await client().chat.completions.create(body);

    assert.equal(completion.choices[0]?.message.content, 'Hello world');
    assert.equal(completion.usage?.prompt_tokens_details?.cached_tokens, 4);
    assert(completion._request_id);
    assertThinkingFields();
  });

  it('takes a literal extra_body', async () => {
    const body = { model: MODEL, messages: MESSAGES, extra_body: THINKING };

    await client().chat.completions.create(body);

    assertThinkingFields();
  });

  it('streams a chat with its usage', async () => {
    const stream = await client().chat.completions.create({
      model: MODEL,
      messages: MESSAGES,
      stream: true,
      stream_options: { include_usage: true },
    });

    let text = '';
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage;
    }

    assert.equal(text, 'Hello world');
    assert.equal(usage?.total_tokens, 10);
  });

  it('finds the scores of a token in every chunk of a text, the last included', async () => {
    harness.backbone.script = async function* () {
      const logprobs = [{ token: candidate(3, '!', -0.5), rank: 1, top: [] }];
      yield accepted();
      yield delta({ text: '!', logprobs });
      yield delta({ text: '!', logprobs, finish: stopped() });
      yield finished({ numCompletionTokens: 2 });
    };
    const request = { model: MODEL, prompt: 'a', logprobs: 1, stream: true } as const;

    const found: unknown[] = [];
    for await (const { choices } of await client().completions.create(request)) {
      for (const { text, logprobs, finish_reason: end } of choices) {
        found.push([text, logprobs?.tokens, end]);
      }
    }

    assert.deepEqual(found, [
      ['!', ['!'], null],
      ['!', ['!'], 'stop'],
    ]);
  });

  it('repeats no request that ran out of its time', async () => {
    let numCalls = 0;
    harness.backbone.script = async function* () {
      yield* [];
      numCalls++;
      throw new MeshError('DEADLINE_EXCEEDED', 'out of time');
    };

    const answer = client().chat.completions.create({ model: MODEL, messages: MESSAGES });

    await assert.rejects(answer, { status: 504 });
    assert.equal(numCalls, 1);
  });

  it('gathers a stream with its own helper', async () => {
    const stream = client().chat.completions.stream({ model: MODEL, messages: MESSAGES });

    const completion = await stream.finalChatCompletion();

    assert.equal(completion.choices[0]?.message.content, 'Hello world');
  });

  it('sees a broken stream as an error', async () => {
    harness.backbone.script = async function* () {
      yield accepted();
      yield delta({ text: 'a' });
      throw new MeshError('ENGINE_FAILED', 'step failed');
    };
    const stream = await client().chat.completions.create({
      model: MODEL,
      messages: MESSAGES,
      stream: true,
    });

    await assert.rejects(async () => {
      for await (const _ of stream);
    }, /step failed/);
  });

  it('retries an overload when it is told to', async () => {
    let numCalls = 0;
    harness.backbone.script = async function* () {
      if (++numCalls === 1) throw new MeshError('QUEUE_FULL', 'full', { retryAfterMs: 1 });
      yield* saying('ok');
    };

    const completion = await client().chat.completions.create({ model: MODEL, messages: MESSAGES });

    assert.equal(completion.choices[0]?.message.content, 'ok');
    assert.equal(numCalls, 2);
  });

  it('reads errors as its own classes', async () => {
    const { chat } = client();

    await assert.rejects(
      chat.completions.create({ model: 'x', messages: MESSAGES }),
      (error: unknown) => error instanceof OpenAI.NotFoundError && error.param === 'model',
    );
    await assert.rejects(
      chat.completions.create({ model: MODEL, messages: MESSAGES, temperature: 9 }),
      (error: unknown) => error instanceof OpenAI.BadRequestError && error.param === 'temperature',
    );
    await assert.rejects(
      client({ apiKey: 'other' }).models.list(),
      (error: unknown) => error instanceof OpenAI.AuthenticationError,
    );
  });

  it('frees the generation of a stream it aborts', async () => {
    harness.backbone.script = async function* (_, signal) {
      yield accepted();
      yield delta({ text: 'a' });
      await aborted(signal);
    };
    const stream = await client().chat.completions.create({
      model: MODEL,
      messages: MESSAGES,
      stream: true,
    });

    for await (const chunk of stream) if (chunk.choices[0]?.delta.content === 'a') break;

    await harness.backbone.until('cancelled');
  });

  it('completes text and lists models', async () => {
    harness.backbone.script = () => saying('Hello');

    const completion = await client().completions.create({ model: MODEL, prompt: 'Say' });
    const models = await client().models.list();

    assert.equal(completion.choices[0]?.text, 'Hello');
    assert.deepEqual(
      models.data.map(({ id }) => id),
      [MODEL],
    );
  });
});

describe('A phone agent', () => {
  const client = () => new OpenAI({ baseURL: `${harness.url}/v1`, apiKey: 'key' });
  const screenshot = dataUrl('image/png', PNG);

  it('asks as Open-AutoGLM does: a screenshot, a text, greedy, streamed', async () => {
    const stream = await client().chat.completions.create({
      model: MODEL,
      messages: [
        { role: 'system', content: 'You are a phone agent.' },
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url: screenshot } },
            { type: 'text', text: 'Open WeChat\n\n** Screen Info **\n\n{}' },
          ],
        },
      ],
      max_tokens: 3000,
      temperature: 0,
      top_p: 0.85,
      frequency_penalty: 0.2,
      stream: true,
    });

    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';

    assert.equal(text, 'Hello world');
    const start = harness.backbone.starts.at(-1);
    assert.deepEqual(harness.backbone.uploads.at(-1), [PNG]);
    assert.equal(start?.sampling?.temperature, 0);
    assert.equal(start?.sampling?.frequencyPenalty, Math.fround(0.2));
    // The thoughts stay in the content, because the client looks for them there.
    assert.equal(start?.output?.splitReasoning, false);
  });

  it('asks as Midscene does: a detailed screenshot, usage, a time limit', async () => {
    const stream = await client().chat.completions.create(
      {
        model: MODEL,
        messages: [
          { role: 'system', content: 'Plan the next step.' },
          {
            role: 'user',
            content: [
              { type: 'image_url', image_url: { url: screenshot, detail: 'high' } },
              { type: 'text', text: 'Tap the search box' },
            ],
          },
        ],
        max_tokens: 2048,
        temperature: 0,
        stream: true,
        stream_options: { include_usage: true },
        ...{ thinking: { type: 'disabled' } },
      },
      { signal: AbortSignal.timeout(60_000) },
    );

    let text = '';
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage;
    }

    assert.equal(text, 'Hello world');
    assert.equal(usage?.prompt_tokens_details?.cached_tokens, 4);
    assert.deepEqual(harness.backbone.uploads.at(-1), [PNG]);
    const form = harness.backbone.starts.at(-1)?.prompt?.form;
    assert(form?.$case === 'chat');
    assert.deepEqual(form.value.templateArgs, { enable_thinking: false });
  });
});

describe('The @langchain/openai package', () => {
  const model = (modelKwargs: Record<string, unknown>) =>
    new ChatOpenAI({
      model: MODEL,
      apiKey: 'key',
      configuration: { baseURL: `${harness.url}/v1` },
      modelKwargs,
    });

  it('invokes with extra fields in modelKwargs', async () => {
    const answer = await model(THINKING).invoke('hi');

    assert.equal(answer.text, 'Hello world');
    assert.match(JSON.stringify(answer.usage_metadata), /"input_tokens":7/);
    assertThinkingFields();
  });

  it('invokes with a literal extra_body in modelKwargs', async () => {
    await model({ extra_body: THINKING }).invoke('hi');

    assertThinkingFields();
  });

  it('sends an image', async () => {
    const content = [
      { type: 'image_url', image_url: { url: dataUrl('image/png', PNG) } },
      { type: 'text', text: 'what?' },
    ];

    await model(THINKING).invoke([{ role: 'user', content }]);

    assert.deepEqual(harness.backbone.uploads.at(-1), [PNG]);
  });

  it('streams', async () => {
    let text = '';
    for await (const chunk of await model(THINKING).stream('hi')) text += chunk.text;

    assert.equal(text, 'Hello world');
    assertThinkingFields();
  });
});
