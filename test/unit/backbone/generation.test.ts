import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Generation } from '#backbone/generation.ts';
import { assertSchedulerInvariants } from '#backbone/scheduler-invariants.ts';
import { MeshError } from '#mesh/errors.ts';
import { FinishReason } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { FakeDecoder, hashedToken, scripted } from './fake-decoder.ts';
import { ids } from './scheduling.ts';
import {
  collect,
  createTestEngine,
  generate,
  type RequestShape,
  requestOf,
} from './test-engine.ts';
import { golden, vocabulary } from './text-model.ts';

const HELLO = golden.tokens.find(({ text }) => text === 'Hello, world!')?.ids ?? [];
const CHINESE = golden.tokens.find(({ text }) => text.startsWith('你好'))?.ids ?? [];
const never = new AbortController().signal;

function finishedOf(events: Awaited<ReturnType<typeof collect>>['events']) {
  const last = events.at(-1);
  assert.ok(last?.$case === 'finished');
  return last.value;
}

describe('Generation', () => {
  it('says accepted, deltas and finished in this order', async () => {
    const engine = createTestEngine(new FakeDecoder({ nextToken: scripted(HELLO) }));

    const { answers, events } = await generate(engine, { maxTokens: HELLO.length });

    const kinds = events.map((event) => event.$case);
    assert.equal(kinds[0], 'accepted');
    assert.ok(kinds.slice(1, -1).every((kind) => kind === 'delta'));
    assert.equal(answers[0]?.text, 'Hello, world!');
    const finished = finishedOf(events);
    assert.equal(finished.numCompletionTokens, HELLO.length);
    assert.deepEqual(finished.choices, [
      { index: 0, reason: FinishReason.FINISH_REASON_LENGTH, stop: undefined },
    ]);
  });

  it('ends at a stop string, discards the token computed meanwhile and frees everything', async () => {
    const engine = createTestEngine(new FakeDecoder({ nextToken: scripted(HELLO) }));

    const { answers, events } = await generate(engine, {
      maxTokens: 50,
      output: { endRules: requestOf().output.endRules, stopStrings: ['o, w'] },
    });
    await generate(engine, { promptTokenIds: [1] });

    assert.equal(answers[0]?.text, 'Hell');
    assert.deepEqual(finishedOf(events).choices[0]?.stop, { $case: 'stopString', value: 'o, w' });
    assert.equal(answers[0]?.tokenIds.length, finishedOf(events).numCompletionTokens);
    assert.equal(engine.scheduler.pool.numFree, 64);
  });

  it('reports the cached tokens of a repeated prompt', async () => {
    const engine = createTestEngine(new FakeDecoder());
    const promptTokenIds = ids(30, 40);
    const first = await generate(engine, { promptTokenIds });

    const second = await generate(engine, { promptTokenIds });

    assert.equal(finishedOf(second.events).numCachedTokens, 32);
    assert.deepEqual(second.answers, first.answers);
  });

  it('lets later choices use the blocks of the first', async () => {
    const engine = createTestEngine(new FakeDecoder());

    const { answers } = await generate(engine, {
      promptTokenIds: ids(30, 40),
      numChoices: 3,
      settings: { temperature: 1, seed: 5n },
    });

    assert.equal(engine.scheduler.counts.numPrefixHitTokens, 64);
    assert.equal(new Set(answers.map(({ text }) => text)).size, 3);
  });

  it('sends one delta a step with every choice of it', async () => {
    const engine = createTestEngine(new FakeDecoder());

    const { events } = await generate(engine, { numChoices: 2, maxTokens: 3 });

    const indices = events.flatMap((event) =>
      event.$case === 'delta' ? [event.value.choices.map(({ index }) => index)] : [],
    );
    assert.deepEqual(indices.at(1), [0, 1]);
  });

  it('returns log-probabilities of samples and of the prompt', async () => {
    const engine = createTestEngine(new FakeDecoder(), { maxNumBatchedTokens: 8, maxNumSeqs: 8 });

    const { events } = await generate(engine, {
      promptTokenIds: ids(40, 20),
      maxTokens: 2,
      numLogprobs: 2,
      numPromptLogprobs: 1,
    });

    const prompt = events.find((event) => event.$case === 'promptLogprobs');
    assert.deepEqual(
      prompt?.value.tokens.map(({ token }) => token?.tokenId),
      ids(41, 19),
    );
    const delta = events.find((event) => event.$case === 'delta');
    const [logprob] = delta?.value.choices[0]?.logprobs ?? [];
    assert.equal(logprob?.top.length, 2);
    assert.deepEqual(
      logprob?.token?.text,
      Buffer.from(vocabulary.bytesOf(logprob?.token?.tokenId ?? 0)),
    );
  });

  it('only computes the prompt when no token may be generated', async () => {
    const engine = createTestEngine(new FakeDecoder());

    const { answers, events } = await generate(engine, { maxTokens: 0 });

    assert.deepEqual(answers[0]?.tokenIds, []);
    assert.equal(finishedOf(events).choices[0]?.reason, FinishReason.FINISH_REASON_LENGTH);
  });

  it('frees everything at the next step border when it is cancelled', async () => {
    const decoder = new FakeDecoder();
    const engine = createTestEngine(decoder);
    const generation = new Generation(requestOf({ maxTokens: 400 }), engine.context);
    generation.start();
    const responses = generation.responses.read(never);
    await responses.next();

    generation.cancel();
    await generate(engine, { promptTokenIds: [1], maxTokens: 1 });

    assertSchedulerInvariants(engine.scheduler);
    assert.equal(engine.scheduler.pool.numFree, 64);
    assert.equal(engine.scheduler.running.length, 0);
  });

  it('refuses a request the waiting queue has no room for', () => {
    const engine = createTestEngine(new FakeDecoder(), { maxNumWaiting: 2 });

    assert.throws(
      () => new Generation(requestOf({ numChoices: 3 }), engine.context).start(),
      (error) => error instanceof MeshError && error.reason === 'QUEUE_FULL',
    );
  });
});

describe('EngineLoop', () => {
  it('submits the next step before it delivers what the last one brought', async () => {
    const decoder = new FakeDecoder({ nextToken: scripted(HELLO) });
    const engine = createTestEngine(decoder);
    const generation = new Generation(requestOf({ maxTokens: 2 }), engine.context);
    const push = generation.responses.push.bind(generation.responses);
    generation.responses.push = (event) => {
      decoder.trace.push(event.$case);
      push(event);
    };

    generation.start();
    await collect(generation.responses.read(never));

    assert.deepEqual(decoder.trace, [
      'execute 20',
      'accepted',
      'executed',
      'execute 1',
      'delta',
      'executed',
      'delta',
      'finished',
    ]);
  });

  it('fails the sequences of a failed step and goes on with the others', async () => {
    const decoder = new FakeDecoder();
    const engine = createTestEngine(decoder, { maxNumSeqs: 1 });
    decoder.failNext('device lost a bit');
    const failing = generate(engine);
    const other = generate(engine, { promptTokenIds: ids(60, 9) });

    await assert.rejects(
      failing,
      (error) => error instanceof MeshError && error.reason === 'ENGINE_FAILED',
    );
    assert.equal((await other).answers[0]?.tokenIds.length, 12);
    assert.equal(engine.scheduler.pool.numFree, 64);
  });

  it('delivers what was computed before a step failed', async () => {
    const decoder = new FakeDecoder();
    decoder.nextToken = () => {
      decoder.failNext('device lost a bit');
      return 5;
    };
    const engine = createTestEngine(decoder);
    const generation = new Generation(requestOf(), engine.context);
    const responses = generation.responses.read(never);
    generation.start();
    await responses.next();

    const delta = await responses.next();

    assert.equal(delta.value?.event?.$case, 'delta');
    await assert.rejects(responses.next(), /device lost a bit/);
  });

  it('dies after three failed steps in a row and fails what is left', async () => {
    const decoder = new FakeDecoder();
    for (let i = 0; i < 3; i++) decoder.failNext('device is gone');
    const engine = createTestEngine(decoder, { maxNumSeqs: 1 });
    const requests = [1, 2, 3, 4].map((id) => generate(engine, { promptTokenIds: [id] }));
    const outcomes = Promise.allSettled(requests);

    await assert.rejects(engine.done, /device is gone/);

    assert.deepEqual(
      (await outcomes).map(({ status }) => status),
      Array(4).fill('rejected'),
    );
  });

  it('ends when it is closed', async () => {
    const engine = createTestEngine(new FakeDecoder());
    await generate(engine);

    engine.engine.close();

    await engine.done;
  });
});

describe('independence of batching', () => {
  const prompt = ids(30, 50);

  async function alone(): Promise<string> {
    const { answers } = await generate(createTestEngine(new FakeDecoder()), {
      promptTokenIds: prompt,
    });
    return answers[0]?.text ?? '';
  }

  for (const chunk of [1, 3, 17, 64]) {
    it(`gives the same tokens when the prompt is computed ${chunk} tokens at a time`, async () => {
      const engine = createTestEngine(new FakeDecoder(), {
        maxNumBatchedTokens: chunk,
        maxNumSeqs: 1,
      });

      const { answers } = await generate(engine, { promptTokenIds: prompt });

      assert.equal(answers[0]?.text, await alone());
    });
  }

  it('gives the same tokens in a batch of 32 others', async () => {
    const engine = createTestEngine(new FakeDecoder({ numBlocks: 400 }), { maxNumSeqs: 40 });
    const others = ids(0, 32).map((i) => generate(engine, { promptTokenIds: ids(i, 5 + i) }));

    const { answers } = await generate(engine, { promptTokenIds: prompt });
    await Promise.all(others);

    assert.equal(answers[0]?.text, await alone());
  });

  it('gives the same tokens after preemption', async () => {
    const decoder = new FakeDecoder({ numBlocks: 7 });
    const engine = createTestEngine(decoder);
    const first = generate(engine, { promptTokenIds: ids(100, 40), maxTokens: 20 });

    const { answers } = await generate(engine, { promptTokenIds: prompt, maxTokens: 12 });
    await first;

    assert.ok(engine.scheduler.counts.numPreemptions > 0);
    assert.equal(answers[0]?.text, await alone());
  });
});

describe('resume', () => {
  const think = ['<think>', '</think>'].map((tag) => vocabulary.addedId(tag) ?? -1);
  const eos = vocabulary.addedId('<|user|>') ?? -1;
  const endRules = { maxTokens: 30, eosTokenIds: new Set([eos]), stopTokenIds: new Set<number>() };
  const thoughts = [think[0] ?? -1, ...HELLO, think[1] ?? -1, ...CHINESE, eos];
  const cases: { name: string; shape: RequestShape; nextToken: FakeDecoder['nextToken'] }[] = [
    { name: 'a greedy answer', shape: {}, nextToken: hashedToken },
    {
      name: 'a sampled answer with penalties',
      shape: {
        settings: { temperature: 1, seed: 77n, frequencyPenalty: 0.5, repetitionPenalty: 1.1 },
      },
      nextToken: hashedToken,
    },
    {
      name: 'an answer with half characters, thoughts and an end-of-sequence id',
      shape: { output: { endRules, splitReasoning: true } },
      nextToken: scripted(thoughts),
    },
    {
      name: 'an answer that a stop string ends across tokens',
      shape: { output: { endRules, stopStrings: ['世界！打开', 'nothing'] } },
      nextToken: scripted([...HELLO, ...CHINESE]),
    },
    {
      name: 'an answer that ends inside a possible stop string',
      shape: { output: { endRules: { ...endRules, maxTokens: 6 }, stopStrings: ['world!!'] } },
      nextToken: scripted(HELLO),
    },
  ];
  for (const { name, shape, nextToken } of cases) {
    it(`continues ${name} exactly, at every cut`, async () => {
      const whole = await generate(createTestEngine(new FakeDecoder({ nextToken })), shape);
      const [answer] = whole.answers;
      assert.ok(answer !== undefined && answer.tokenIds.length > 3);

      for (let cut = 0; cut <= answer.tokenIds.length; cut++) {
        const delivered = [answer.tokenIds.slice(0, cut)];
        const fresh = createTestEngine(new FakeDecoder({ nextToken }));
        const rest = await generate(fresh, { ...shape, delivered });
        const sent: string = cut === 0 ? '' : (answer.textAfter[cut - 1] ?? '');
        assert.deepEqual(rest.answers[0]?.tokenIds, answer.tokenIds.slice(cut), `cut at ${cut}`);
        assert.equal(sent + rest.answers[0]?.text, answer.text, `cut at ${cut}`);
        const [a, b] = [finishedOf(whole.events), finishedOf(rest.events)];
        assert.deepEqual(b.choices, a.choices, `cut at ${cut}`);
        assert.equal(b.numCompletionTokens, a.numCompletionTokens);
        assert.equal(b.numReasoningTokens, a.numReasoningTokens);
      }
    });
  }

  it('continues choices that were cut at different places, one of them finished', async () => {
    const shape = { numChoices: 3, settings: { temperature: 1, seed: 3n } };
    const whole = await generate(createTestEngine(new FakeDecoder()), shape);
    const cuts = [12, 0, 5];

    const rest = await generate(createTestEngine(new FakeDecoder()), {
      ...shape,
      delivered: cuts.map((cut, i) => whole.answers[i]?.tokenIds.slice(0, cut) ?? []),
    });

    for (const [i, cut] of cuts.entries()) {
      assert.deepEqual(
        rest.answers[i]?.tokenIds,
        whole.answers[i]?.tokenIds.slice(cut),
        `choice ${i}`,
      );
    }
    assert.deepEqual(finishedOf(rest.events).choices, finishedOf(whole.events).choices);
  });
});
