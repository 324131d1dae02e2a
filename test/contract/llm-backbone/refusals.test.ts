import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { refusal } from '#test/refusal.ts';
import { until } from '#test/unit/encoder/doubles.ts';
import { ids } from '#test/unit/llm-backbone/engine/scheduling.ts';
import { FakeDecoder } from '#test/unit/llm-backbone/fake-decoder.ts';
import { collect } from '#test/unit/llm-backbone/test-engine.ts';
import {
  conversationOf,
  messages,
  requestsOf,
  startOf,
  startTestBackbone,
  type TestBackbone,
} from './harness.ts';

describe('what Generate refuses', () => {
  let backbone: TestBackbone | undefined;
  afterEach(() => backbone?.close());
  const tokens = (tokenIds: number[]) => ({
    form: { $case: 'tokens' as const, value: { tokenIds } },
  });

  const text = (value: string) => ({ form: { $case: 'text' as const, value: { text: value } } });

  const refused: {
    name: string;
    start: ReturnType<typeof startOf>;
    matches: ReturnType<typeof refusal>;
  }[] = [
    {
      name: 'an unknown model',
      start: startOf({ model: 'gpt' }),
      matches: refusal('MODEL_NOT_FOUND', /tiny, other/, 'model'),
    },
    {
      name: 'a temperature out of range',
      start: startOf({ sampling: { temperature: 3 } }),
      matches: refusal('INVALID_REQUEST', /got 3/, 'sampling.temperature'),
    },
    {
      name: 'too many log-probabilities',
      start: startOf({ output: { numLogprobs: 21 } }),
      matches: refusal('INVALID_REQUEST', /got 21/, 'output.num_logprobs'),
    },
    {
      name: 'too many prompt log-probabilities',
      start: startOf({ output: { numPromptLogprobs: 21 } }),
      matches: refusal('INVALID_REQUEST', /got 21/, 'output.num_prompt_logprobs'),
    },
    {
      name: 'a request without a prompt',
      start: { sampling: {} },
      matches: refusal('INVALID_REQUEST', /no prompt/),
    },
    {
      name: 'a prompt beyond the context, with both numbers',
      start: startOf({ prompt: tokens(Array(600).fill(1)) }),
      matches: refusal(
        'CONTEXT_LENGTH_EXCEEDED',
        /maximum context length is 512 tokens\. However, .* 600 input tokens/,
      ),
    },
    {
      name: 'a prompt of 150,000 tokens',
      start: startOf({ prompt: tokens(Array(150_000).fill(1)) }),
      matches: refusal(
        'CONTEXT_LENGTH_EXCEEDED',
        /maximum context length is 512 tokens\. However, .* 150000 input tokens/,
      ),
    },
    {
      name: 'more text than the context can hold',
      start: startOf({ prompt: text('x'.repeat(100_000)) }),
      matches: refusal(
        'CONTEXT_LENGTH_EXCEEDED',
        /100000 bytes of text.* maximum context length is 512 tokens/,
        'prompt.text',
      ),
    },
    {
      name: 'more text than is taken at all',
      start: startOf({ prompt: text('x'.repeat(16 * 1024 * 1024 + 1)) }),
      matches: refusal('PAYLOAD_TOO_LARGE', /16777217 bytes of text.*max-prompt-mb/, 'prompt.text'),
    },
    {
      name: 'a message of gRPC beyond all that a request may be',
      start: startOf({ prompt: text('x'.repeat(24 * 1024 * 1024)) }),
      matches: refusal('PAYLOAD_TOO_LARGE', /larger than max/),
    },
    {
      name: 'more messages than a conversation may have',
      start: startOf({ prompt: conversationOf(2049) }),
      matches: refusal('INVALID_REQUEST', /2049 entries.*max-messages/, 'prompt.chat.messages'),
    },
    {
      name: 'a template argument of a megabyte',
      start: startOf({
        prompt: {
          form: {
            $case: 'chat',
            value: {
              messages: [{ role: 'user', content: { $case: 'text', value: 'hi' } }],
              templateArgs: { reasoning_effort: 'x'.repeat(1_000_000) },
            },
          },
        },
      }),
      matches: refusal(
        'INVALID_REQUEST',
        /at most 64 characters/,
        'prompt.chat.template_args.reasoning_effort',
      ),
    },
    {
      name: 'a bad word that is a book',
      start: startOf({ sampling: { badWords: ['x'.repeat(2000)] } }),
      matches: refusal('INVALID_REQUEST', /2000 characters/, 'sampling.bad_words'),
    },
    {
      name: 'a resume of more tokens than the context has',
      start: startOf({ resume: { choices: [{ index: 0, tokenIds: Array(513).fill(1) }] } }),
      matches: refusal('INVALID_REQUEST', /513 tokens, the context 512/, 'resume'),
    },
    {
      name: 'a resume of a choice that is not asked for',
      start: startOf({ resume: { choices: [{ index: 1 }] } }),
      matches: refusal('INVALID_REQUEST', /choice 1/, 'resume'),
    },
    {
      name: 'a resume that names a choice twice',
      start: startOf({ resume: { choices: [{ index: 0 }, { index: 0 }] } }),
      matches: refusal('INVALID_REQUEST', /twice/, 'resume'),
    },
    {
      name: 'a resume with an unknown token',
      start: startOf({ resume: { choices: [{ index: 0, tokenIds: [9999] }] } }),
      matches: refusal('INVALID_REQUEST', /9999/, 'resume'),
    },
    {
      name: 'an empty bad word',
      start: startOf({ sampling: { badWords: [''] } }),
      matches: refusal('INVALID_REQUEST', /empty/, 'sampling.bad_words'),
    },
  ];
  for (const { name, start, matches } of refused) {
    it(`refuses ${name}`, async () => {
      backbone = await startTestBackbone();

      await assert.rejects(collect(backbone.client.generate(requestsOf(start))), matches);
      assert.equal(backbone.backbone.scheduler.pool.numFree, 64);
    });
  }

  it('refuses a prompt that can never fit into the KV cache', async () => {
    backbone = await startTestBackbone(new FakeDecoder({ numBlocks: 2 }));
    const prompt = tokens(ids(0, 40));

    await assert.rejects(
      collect(backbone.client.generate(requestsOf(startOf({ prompt })))),
      refusal('REQUEST_EXCEEDS_KV_CACHE', /3 blocks .* has 2, 32 tokens/),
    );
  });

  it('refuses a stream without a start', async () => {
    backbone = await startTestBackbone();
    const { client } = backbone;

    await assert.rejects(
      collect(client.generate(messages())),
      refusal('INVALID_REQUEST', /without a start/),
    );
    await assert.rejects(
      collect(client.generate(messages({ $case: 'mediaChunk', value: {} }))),
      refusal('INVALID_REQUEST', /must be a start/),
    );
  });

  it('refuses a second start and media the start does not name', async () => {
    backbone = await startTestBackbone();
    const { client } = backbone;
    const start = { $case: 'start', value: startOf() } as const;

    await assert.rejects(
      collect(client.generate(messages(start, start))),
      refusal('INVALID_REQUEST', /second start/),
    );
    await assert.rejects(
      collect(client.generate(messages(start, { $case: 'mediaChunk', value: {} }))),
      refusal('INVALID_REQUEST', /names item 0, the start names 0 media items/),
    );
  });

  it('refuses what the waiting queue has no room for and says when to retry', async () => {
    const decoder = new FakeDecoder();
    backbone = await startTestBackbone(decoder, { maxNumSeqs: 1, maxNumWaiting: 1 });
    const { client, backbone: process } = backbone;
    const release = decoder.hold();
    const running = collect(client.generate(requestsOf(startOf())));
    await until(() => process.scheduler.running.length > 0);
    const waiting = collect(client.generate(requestsOf(startOf())));
    await until(() => process.scheduler.waiting.length > 0);

    await assert.rejects(
      collect(client.generate(requestsOf(startOf()))),
      (error) =>
        refusal('QUEUE_FULL', /1 sequences are waiting/)(error) &&
        error instanceof Error &&
        'retryAfterMs' in error &&
        error.retryAfterMs === 1000,
    );
    release();
    await Promise.all([running, waiting]);
  });

  it('gives the place of a flood to a client that has none, and refuses the flood', async () => {
    const decoder = new FakeDecoder();
    backbone = await startTestBackbone(decoder, { maxNumSeqs: 1, maxNumWaiting: 2 });
    const { client, backbone: process } = backbone;
    const release = decoder.hold();
    const ask = (clientId: string) => collect(client.generate(requestsOf(startOf({ clientId }))));
    const running = ask('flood');
    await until(() => process.scheduler.running.length > 0);
    const flood = [ask('flood'), ask('flood')];
    await until(() => process.scheduler.waiting.length > 1);

    const single = ask('single');

    await assert.rejects(
      Promise.race(flood),
      refusal('QUEUE_FULL', /another client.* took this one's place/),
    );
    release();
    await Promise.all([running, single]);
    const outcomes = await Promise.allSettled(flood);
    assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
    await assert.rejects(ask('x'.repeat(257)), refusal('INVALID_REQUEST', /256/, 'client_id'));
  });

  it('refuses a priority unless it is told to honour it', async () => {
    backbone = await startTestBackbone(new FakeDecoder());
    const { client } = backbone;
    const ask = (priority: number) => collect(client.generate(requestsOf(startOf({ priority }))));

    await assert.rejects(
      ask(-1),
      refusal(
        'INVALID_REQUEST',
        /Got priority -1 but Priority scheduling is not enabled.*"scheduling-policy"/,
        'priority',
      ),
    );
    await ask(0);
  });

  it('honours a priority if it is told to, within the range that aging bounds', async () => {
    backbone = await startTestBackbone(new FakeDecoder(), { schedulingPolicy: 'priority' });
    const { client } = backbone;
    const ask = (priority: number) => collect(client.generate(requestsOf(startOf({ priority }))));

    await assert.rejects(ask(101), refusal('INVALID_REQUEST', /-100 to 100/, 'priority'));
    await ask(-100);
  });

  it('reports a failed step as ENGINE_FAILED and answers the next request', async () => {
    const decoder = new FakeDecoder();
    backbone = await startTestBackbone(decoder);
    const { client } = backbone;
    decoder.failNext('device lost a bit');

    await assert.rejects(
      collect(client.generate(requestsOf(startOf()))),
      refusal('ENGINE_FAILED', /device lost a bit/),
    );
    assert.equal(
      (await collect(client.generate(requestsOf(startOf())))).answers[0]?.tokenIds.length,
      12,
    );
    assert.equal(backbone.backbone.scheduler.pool.numFree, 64);
  });
});
