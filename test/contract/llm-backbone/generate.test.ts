import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Client, credentials } from '@grpc/grpc-js';
import { Status } from 'nice-grpc-common';
import { assertSchedulerInvariants } from '#backbone/engine/scheduler-invariants.ts';
import {
  FinishReason,
  GenerateRequest,
  GenerateResponse,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { until } from '#test/unit/encoder/doubles.ts';
import { bitsOf } from '#test/unit/llm-backbone/engine/only-next.ts';
import { FakeDecoder, scripted } from '#test/unit/llm-backbone/fake-decoder.ts';
import { collect } from '#test/unit/llm-backbone/test-engine.ts';
import { golden, vocabulary } from '#test/unit/llm-backbone/text-model.ts';
import { chatOf, requestsOf, startOf, startTestBackbone, type TestBackbone } from './harness.ts';

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

  it('sends as many tokens together as it is told to, behind the first ones', async () => {
    const { client } = await start(new FakeDecoder(), { streamInterval: 4 });

    const { events } = await collect(client.generate(requestsOf(startOf())));

    const nums = events.flatMap((event) =>
      event.$case === 'delta'
        ? [event.value.choices.flatMap(({ tokenIds }) => tokenIds).length]
        : [],
    );
    assert.ok(nums.length > 2 && nums.slice(1, -1).every((num) => num >= 4), nums.join(' '));
    assert.equal(
      nums.reduce((sum, num) => sum + num),
      12,
    );
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

  it('hands the allowed ids of a request to the decoder as a mask over the rows of its head', async () => {
    const masks: (Uint32Array | undefined)[] = [];
    const decoder = new FakeDecoder();
    decoder.nextToken = (_, { allowedTokens }) => {
      masks.push(allowedTokens);
      return 5;
    };
    const { client } = await start(decoder);
    masks.length = 0;

    const sampling = { allowedTokenIds: [5, 1000], maxTokens: 2 };
    await collect(client.generate(requestsOf(startOf({ sampling }))));

    assert.deepEqual(masks.map(bitsOf), [
      [5, 1000],
      [5, 1000],
    ]);
    assert.equal(masks[0]?.length, decoder.description.vocabSize / 32);
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
    await until(() => running.scheduler.running.length === 0);

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
    await until(() => running.scheduler.running.length === 0);

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
