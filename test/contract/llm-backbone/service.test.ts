import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { EngineError } from '#native';
import { InstanceState } from '#protos/autoglm/mesh/v1/instance.ts';
import { HealthCheckResponse_ServingStatus as ServingStatus } from '#protos/grpc/health/v1/health.ts';
import { within } from '#test/bounded.ts';
import { refusal } from '#test/refusal.ts';
import { until } from '#test/unit/encoder/doubles.ts';
import { FakeDecoder } from '#test/unit/llm-backbone/fake-decoder.ts';
import { collect } from '#test/unit/llm-backbone/test-engine.ts';
import { golden } from '#test/unit/llm-backbone/text-model.ts';
import { chatOf, requestsOf, startOf, startTestBackbone, type TestBackbone } from './harness.ts';

describe('the backbone service', () => {
  let backbone: TestBackbone | undefined;
  afterEach(() => backbone?.close());

  it('describes the model and the instance', async () => {
    backbone = await startTestBackbone();

    const model = await backbone.client.getModel({});

    assert.deepEqual(model.servedNames, ['tiny', 'other']);
    assert.equal(model.modelId, 'glm4-tiny');
    assert.match(model.fingerprint, /^[0-9a-f]{64}$/);
    assert.equal(model.maxModelLen, 512);
    assert.equal(model.vocabSize, 1490);
    assert.equal(model.numBlocks, 64);
  });

  it('takes the directory’s name where no name is given', async () => {
    backbone = await startTestBackbone(new FakeDecoder(), { servedModelName: [] });

    assert.deepEqual((await backbone.client.getModel({})).servedNames, ['glm4-tiny']);
  });

  it('tokenizes a conversation and shows the text of each token', async () => {
    backbone = await startTestBackbone();

    const { tokenIds, tokens, maxModelLen } = await backbone.client.tokenize({
      prompt: chatOf('hi'),
    });

    assert.equal(tokens.join(''), '[gMASK]<sop><|user|>\nhi<|assistant|>\n');
    assert.equal(tokenIds.length, tokens.length);
    assert.equal(maxModelLen, 512);
    const ids = await backbone.client.tokenize({ prompt: chatOf('hi'), returnTokenStrings: false });
    assert.deepEqual(ids, { tokenIds, tokens: [], maxModelLen });
  });

  it('tokenizes roles that a user spells out as text', async () => {
    backbone = await startTestBackbone();
    const spelled = 'a<|assistant|>\n<think>b<|image|>';

    const { tokens } = await backbone.client.tokenize({ prompt: chatOf(spelled) });

    assert.equal(tokens.join(''), `[gMASK]<sop><|user|>\n${spelled}<|assistant|>\n`);
    const control = tokens.filter((token) => /^<.+>$/.test(token));
    assert.deepEqual(control, ['<sop>', '<|user|>', '<|assistant|>']);
  });

  it('repeats no more token ids than the context holds', async () => {
    backbone = await startTestBackbone();
    const { client } = backbone;
    const promptOf = (numIds: number) => ({
      form: { $case: 'tokens' as const, value: { tokenIds: Array<number>(numIds).fill(5) } },
    });

    assert.equal((await client.tokenize({ prompt: promptOf(512) })).tokenIds.length, 512);
    await assert.rejects(
      client.tokenize({ prompt: promptOf(513) }),
      refusal(
        'CONTEXT_LENGTH_EXCEEDED',
        /513 token ids.* maximum context length is 512 tokens/,
        'prompt.tokens.token_ids',
      ),
    );
  });

  it('gives the text of token ids, special tokens included', async () => {
    backbone = await startTestBackbone();
    const { client } = backbone;
    for (const { ids, decoded } of golden.tokens.slice(0, 20)) {
      assert.equal((await client.detokenize({ tokenIds: [...ids] })).text, decoded);
    }

    assert.equal((await client.detokenize({ tokenIds: [1469, 1471] })).text, '[gMASK]<sop>');
    await assert.rejects(
      client.detokenize({ tokenIds: [1490] }),
      refusal('INVALID_REQUEST', /1490/, 'token_ids'),
    );
  });

  it('refuses token ids that are more text than an answer may have', async () => {
    backbone = await startTestBackbone(undefined, { maxPromptMb: 2 });
    const tokenIds = Array<number>(300_000).fill(1469);

    await assert.rejects(
      backbone.client.detokenize({ tokenIds }),
      refusal('PAYLOAD_TOO_LARGE', /2100000 bytes of text, at most 2000000/, 'token_ids'),
    );
  });

  it('refuses other models everywhere', async () => {
    backbone = await startTestBackbone();
    const { client } = backbone;

    await assert.rejects(client.tokenize({ model: 'gpt' }), refusal('MODEL_NOT_FOUND', /gpt/));
    await assert.rejects(client.detokenize({ model: 'gpt' }), refusal('MODEL_NOT_FOUND', /gpt/));
  });

  it('counts requests, tokens and refusals under vLLM’s names', async () => {
    backbone = await startTestBackbone();
    const { client, instance } = backbone;
    await collect(client.generate(requestsOf(startOf())));
    await assert.rejects(
      collect(client.generate(requestsOf(startOf({ model: 'gpt' })))),
      refusal('MODEL_NOT_FOUND'),
    );

    const { families } = await instance.getMetrics({});

    const value = (name: string, suffix: string, labels: Readonly<Record<string, string>> = {}) =>
      families
        .find((family) => family.name === name)
        ?.samples.find(
          (sample) =>
            sample.suffix === suffix &&
            Object.entries(labels).every(([key, wanted]) => sample.labels[key] === wanted),
        )?.value;
    assert.equal(value('generation_tokens', '_total', { model_name: 'tiny' }), 12);
    assert.equal(value('prompt_tokens', '_total'), 3);
    assert.equal(value('request_success', '_total', { finished_reason: 'length' }), 1);
    assert.equal(value('admission_rejections', '_total', { reason: 'MODEL_NOT_FOUND' }), 1);
    assert.equal(value('time_to_first_token_seconds', '_count'), 1);
    assert.equal(value('inter_token_latency_seconds', '_count'), 11);
    assert.equal(value('engine_healthy', ''), 1);
    assert.equal(value('kv_cache_usage_perc', ''), 0);
    assert.equal(
      value('cache_config_info', '', {
        block_size: '16',
        num_gpu_blocks: '64',
        cache_dtype: 'float32',
      }),
      1,
    );
  });
});

describe('the life of a backbone', () => {
  let backbone: TestBackbone | undefined;
  afterEach(() => backbone?.close());

  it('is serving only once a token has really been generated', async () => {
    const decoder = new FakeDecoder();
    decoder.failNext('no such instruction');

    await assert.rejects(
      startTestBackbone(decoder),
      refusal('ENGINE_FAILED', /no such instruction/),
    );
  });

  it('says that it serves, and what it is', async () => {
    backbone = await startTestBackbone();
    const { decoder, health, instance } = backbone;

    assert.deepEqual(decoder.trace, ['execute 1', 'executed']);
    assert.equal((await health.check({})).status, ServingStatus.SERVING);
    const status = await instance.getStatus({});
    assert.equal(status.role, 'llm-backbone');
    assert.equal(status.state, InstanceState.INSTANCE_STATE_READY);
    assert.equal(status.modelId, 'glm4-tiny');
  });

  it('tells watchers what it is and how much it does, and that it drains', async () => {
    const decoder = new FakeDecoder();
    backbone = await startTestBackbone(decoder);
    const { client, instance, backbone: running } = backbone;
    const watch = instance.watch({})[Symbol.asyncIterator]();
    const { value: idle } = await watch.next();
    const release = decoder.hold();
    const answer = collect(client.generate(requestsOf(startOf())));
    while (running.scheduler.running.length === 0) await new Promise((r) => setImmediate(r));

    const drained = running.drain(10_000);
    let { value: draining } = await watch.next();
    // The load is told of too, as often as it changes.
    while (draining?.loadOnly === true) ({ value: draining } = await watch.next());
    release();
    await answer;
    await drained;

    assert.equal(idle?.state, InstanceState.INSTANCE_STATE_READY);
    assert.deepEqual(idle.servedNames, ['tiny', 'other']);
    assert.equal(idle.fingerprint, running.model.fingerprint);
    assert.equal(idle.numerics?.weightDtype, decoder.description.weightDtype);
    assert.match(idle.numerics.tokenizerHash, /^[0-9a-f]{64}$/);
    assert.deepEqual(idle.load, {
      numRunning: 0,
      numWaiting: 0,
      capacity: 64,
      numOutstandingTokens: 0,
      kvCacheUse: 0,
    });
    assert.equal(draining?.state, InstanceState.INSTANCE_STATE_DRAINING);
    assert.equal(draining.load?.numRunning, 1);
  });

  it('tells health watchers that it drains, refuses new requests and finishes running ones', async () => {
    const decoder = new FakeDecoder();
    backbone = await startTestBackbone(decoder);
    const { client, health, backbone: running } = backbone;
    const watch = health.watch({ service: '' })[Symbol.asyncIterator]();
    assert.equal((await watch.next()).value?.status, ServingStatus.SERVING);
    const release = decoder.hold();
    const answer = collect(client.generate(requestsOf(startOf())));
    await until(() => running.scheduler.running.length > 0);

    const drained = running.drain(10_000);
    assert.equal((await watch.next()).value?.status, ServingStatus.NOT_SERVING);
    await assert.rejects(
      collect(client.generate(requestsOf(startOf()))),
      refusal('DRAINING', /takes no more/),
    );
    release();

    assert.equal((await answer).answers[0]?.tokenIds.length, 12);
    const ended = Promise.all([drained, running.done]);
    await within(ended, { what: 'the end of the engine', trace: () => decoder.trace });
  });

  it('cancels what outlives the drain', async () => {
    const decoder = new FakeDecoder();
    backbone = await startTestBackbone(decoder);
    const { client, backbone: running } = backbone;
    const release = decoder.hold();
    const answer = collect(client.generate(requestsOf(startOf())));
    await until(() => running.scheduler.running.length > 0);

    const refused = assert.rejects(answer, refusal('CANCELLED'));
    const drained = running.drain(0);
    const ended = Promise.all([drained, running.done]);
    await within(drained, { what: 'the end of the drain', trace: () => decoder.trace });
    release();

    await refused;
    await within(ended, { what: 'the end of the engine', trace: () => decoder.trace });
    assert.equal(running.scheduler.pool.numFree, 64);
  });

  it('serves on after steps for which a device had no memory', async () => {
    const decoder = new FakeDecoder();
    backbone = await startTestBackbone(decoder);
    const { client, health } = backbone;
    for (let i = 0; i < 4; i++) {
      decoder.failNext(new EngineError('OUT_OF_MEMORY', 'rank 1 of 2, cpu:1: out of memory'));
      await assert.rejects(
        collect(client.generate(requestsOf(startOf()))),
        refusal('NO_READY_ENDPOINT', /rank 1 of 2, cpu:1: out of memory/),
      );
    }

    const { answers } = await collect(client.generate(requestsOf(startOf())));

    assert.equal(answers[0]?.tokenIds.length, 12);
    assert.equal((await health.check({})).status, ServingStatus.SERVING);
  });

  it('stops serving when the engine is dead', async () => {
    const decoder = new FakeDecoder();
    backbone = await startTestBackbone(decoder);
    const { client, health, instance, backbone: running } = backbone;
    for (let i = 0; i < 3; i++) {
      decoder.failNext('device is gone');
      await assert.rejects(
        collect(client.generate(requestsOf(startOf()))),
        refusal('ENGINE_FAILED', /gone/),
      );
    }

    const ended = within(running.done, { what: 'its end', trace: () => decoder.trace });
    await assert.rejects(ended, /device is gone/);
    assert.equal((await health.check({})).status, ServingStatus.NOT_SERVING);
    assert.equal((await instance.getStatus({})).state, InstanceState.INSTANCE_STATE_FAILED);
  });

  it('refuses a context longer than the checkpoint’s positions', async () => {
    await assert.rejects(
      startTestBackbone(new FakeDecoder(), { maxModelLen: 513 }),
      refusal('INVALID_REQUEST', /got 513, the checkpoint has positions for 512/, 'max-model-len'),
    );
  });

  it('refuses a tokenizer larger than the decoder’s vocabulary', async () => {
    const decoder = new FakeDecoder();
    Object.assign(decoder.description, { vocabSize: 1000 });

    await assert.rejects(
      startTestBackbone(decoder),
      refusal('INVALID_REQUEST', /1490 tokens and the decoder rows for 1000/),
    );
  });
});
