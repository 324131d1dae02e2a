import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Client, credentials } from '@grpc/grpc-js';
import { Status } from 'nice-grpc-common';
import { assertSchedulerInvariants } from '#backbone/scheduler-invariants.ts';
import {
  FinishReason,
  GenerateRequest,
  GenerateResponse,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { FakeDecoder, scripted } from '#test/unit/backbone/fake-decoder.ts';
import { refusal } from '#test/unit/backbone/refusal.ts';
import { ids } from '#test/unit/backbone/scheduling.ts';
import { collect } from '#test/unit/backbone/test-engine.ts';
import { golden, vocabulary } from '#test/unit/backbone/text-model.ts';
import {
  chatOf,
  messages,
  requestsOf,
  startOf,
  startTestBackbone,
  type TestBackbone,
} from './harness.ts';

const CHINESE = golden.tokens.find(({ text }) => text.startsWith('你好'))?.ids ?? [];

const GENERATE = {
  path: '/autoglm.llm.v1.LlmBackboneService/Generate',
  requestSerialize: (request: GenerateRequest) =>
    Buffer.from(GenerateRequest.encode(request).finish()),
  responseDeserialize: (bytes: Buffer) => GenerateResponse.decode(bytes),
};

describe('Generate', () => {
  let backbone: TestBackbone | undefined;
  afterEach(() => backbone?.close());

  async function start(...args: Parameters<typeof startTestBackbone>): Promise<TestBackbone> {
    backbone = await startTestBackbone(...args);
    return backbone;
  }

  it('answers a conversation token by token', async () => {
    const eos = vocabulary.addedId('<|user|>') ?? -1;
    const { client } = await start(new FakeDecoder({ nextToken: scripted([...CHINESE, eos]) }));

    const { answers, events } = await collect(
      client.generate(requestsOf(startOf({ prompt: chatOf('hi'), sampling: { maxTokens: 50 } }))),
    );

    assert.equal(answers[0]?.text, '你好，世界！打开设置。');
    const [accepted, finished] = [events[0], events.at(-1)];
    assert.ok(accepted?.$case === 'accepted' && finished?.$case === 'finished');
    assert.ok(accepted.value.numPromptTokens > 5);
    assert.equal(finished.value.numCompletionTokens, CHINESE.length + 1);
    assert.equal(finished.value.choices[0]?.reason, FinishReason.FINISH_REASON_STOP);
  });

  it('takes the sampling defaults of the checkpoint and reports the drawn seed', async () => {
    const decoder = new FakeDecoder();
    const seen: unknown[] = [];
    decoder.nextToken = (_, params) => {
      seen.push([params.temperature, params.topP, params.topK, params.seed]);
      return 5;
    };
    const { client } = await start(decoder);
    seen.length = 0;

    const sampling = { temperature: undefined, maxTokens: 1 };
    const { events } = await collect(client.generate(requestsOf(startOf({ sampling }))));

    assert.ok(events[0]?.$case === 'accepted');
    assert.deepEqual(seen, [[0.8, 0.6, 2, events[0].value.seed]]);
  });

  it('returns the prompt’s token ids where asked to', async () => {
    const { client } = await start();

    const { events } = await collect(
      client.generate(requestsOf(startOf({ output: { returnPromptTokenIds: true } }))),
    );

    assert.ok(events[0]?.$case === 'accepted');
    assert.deepEqual(events[0].value.promptTokenIds, [5, 6, 7]);
  });

  it('forbids bad words from the text of the request', async () => {
    const decoder = new FakeDecoder();
    const word = golden.tokens.find(({ ids: list }) => list.length === 1);
    const forbidden: number[][] = [];
    decoder.nextToken = (_, params) => {
      forbidden.push([...params.forbiddenTokenIds]);
      return 5;
    };
    const { client } = await start(decoder);

    const sampling = {
      badWords: [word?.text.trim() === '' ? 'a' : (word?.text ?? '')],
      maxTokens: 1,
    };
    await collect(client.generate(requestsOf(startOf({ sampling }))));

    assert.ok((forbidden.at(-1)?.length ?? 0) > 0);
  });

  it('continues a broken answer in a fresh instance, seeded and with two choices', async () => {
    const shape = startOf({ sampling: { temperature: 1, numChoices: 2, maxTokens: 10 } });
    const whole = await collect((await start()).client.generate(requestsOf(shape)), 2);
    assert.ok(whole.events[0]?.$case === 'accepted');
    const { seed } = whole.events[0].value;
    await backbone?.close();
    const choices = [3, 7].map((cut, index) => ({
      index,
      tokenIds: whole.answers[index]?.tokenIds.slice(0, cut) ?? [],
    }));

    const { client } = await start();
    const rest = await collect(
      client.generate(requestsOf({ ...shape, resume: { seed, choices } })),
      2,
    );

    for (const [index, { tokenIds }] of choices.entries()) {
      const [before, after] = [whole.answers[index], rest.answers[index]];
      assert.deepEqual([...tokenIds, ...(after?.tokenIds ?? [])], before?.tokenIds);
      const sent = before?.textAfter[tokenIds.length - 1] ?? '';
      assert.equal(sent + after?.text, before?.text);
    }
  });

  it('frees everything within a step when the client leaves', async () => {
    const { client, backbone: running } = await start();
    const controller = new AbortController();
    const stream = client.generate(requestsOf(startOf({ sampling: { maxTokens: 400 } })), {
      signal: controller.signal,
    });
    const iterator = stream[Symbol.asyncIterator]();
    await iterator.next();

    controller.abort();
    await assert.rejects(iterator.next(), { name: 'AbortError' });
    while (running.scheduler.running.length > 0) await new Promise((r) => setImmediate(r));

    assertSchedulerInvariants(running.scheduler);
    assert.equal(running.scheduler.pool.numFree, 64);
  });

  it('frees everything when the deadline passes', async () => {
    const decoder = new FakeDecoder();
    const { backbone: running } = await start(decoder);
    const release = decoder.hold();
    const client = new Client(running.address, credentials.createInsecure());
    const { path, requestSerialize, responseDeserialize } = GENERATE;

    const deadline = Date.now() + 200;
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, {
      deadline,
    });
    call.write(GenerateRequest.fromPartial({ event: { $case: 'start', value: startOf() } }));
    call.end();
    await assert.rejects(call.toArray(), { code: Status.DEADLINE_EXCEEDED });
    release();
    while (running.scheduler.running.length > 0) await new Promise((r) => setImmediate(r));

    assert.equal(running.scheduler.pool.numFree, 64);
    client.close();
  });

  it('does not lose a token when the reader is slow', async () => {
    const { client } = await start();
    const stream = client.generate(requestsOf(startOf({ sampling: { maxTokens: 300 } })));

    const slow = (async function* () {
      for await (const response of stream) {
        await new Promise((resolve) => setImmediate(resolve));
        yield response;
      }
    })();
    const { answers, events } = await collect(slow);

    assert.equal(answers[0]?.tokenIds.length, 300);
    assert.equal(events.at(-1)?.$case, 'finished');
  });
});

describe('what Generate refuses', () => {
  let backbone: TestBackbone | undefined;
  afterEach(() => backbone?.close());
  const tokens = (tokenIds: number[]) => ({
    form: { $case: 'tokens' as const, value: { tokenIds } },
  });

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
      matches: refusal('INVALID_REQUEST', /got 3/, 'temperature'),
    },
    {
      name: 'too many log-probabilities',
      start: startOf({ output: { numLogprobs: 21 } }),
      matches: refusal('INVALID_REQUEST', /got 21/, 'top_logprobs'),
    },
    {
      name: 'too many prompt log-probabilities',
      start: startOf({ output: { numPromptLogprobs: 21 } }),
      matches: refusal('INVALID_REQUEST', /got 21/, 'prompt_logprobs'),
    },
    {
      name: 'a request without a prompt',
      start: { sampling: {} },
      matches: refusal('INVALID_REQUEST', /no prompt/),
    },
    {
      name: 'a prompt beyond the context, with both numbers',
      start: startOf({ prompt: tokens(Array(600).fill(1)) }),
      matches: refusal('CONTEXT_LENGTH_EXCEEDED', /600 tokens .* 512/),
    },
    {
      name: 'media without an encoder',
      start: startOf({ prompt: { ...tokens([1]), media: [{}] } }),
      matches: refusal('UNSUPPORTED_MEDIA', /no encoder/),
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
      matches: refusal('INVALID_REQUEST', /empty/, 'bad_words'),
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
      refusal('INVALID_REQUEST', /names no media/),
    );
  });

  it('refuses what the waiting queue has no room for and says when to retry', async () => {
    const decoder = new FakeDecoder();
    backbone = await startTestBackbone(decoder, { maxNumSeqs: 1, maxNumWaiting: 1 });
    const { client } = backbone;
    const release = decoder.hold();
    const running = collect(client.generate(requestsOf(startOf())));
    while (backbone.backbone.scheduler.running.length === 0)
      await new Promise((r) => setImmediate(r));
    const waiting = collect(client.generate(requestsOf(startOf())));
    while (backbone.backbone.scheduler.waiting.length === 0)
      await new Promise((r) => setImmediate(r));

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
