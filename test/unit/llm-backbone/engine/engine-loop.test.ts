import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertSchedulerInvariants } from '#backbone/engine/scheduler-invariants.ts';
import { Generation } from '#backbone/request/generation.ts';
import { EngineError } from '#native';
import { refusal } from '#test/refusal.ts';
import { until } from '#test/unit/encoder/doubles.ts';
import { FakeDecoder, scripted } from '#test/unit/llm-backbone/fake-decoder.ts';
import {
  collect,
  createTestEngine,
  generate,
  requestOf,
  STEP_LIMIT_MS,
} from '#test/unit/llm-backbone/test-engine.ts';
import { golden } from '#test/unit/llm-backbone/text-model.ts';
import { ids } from './scheduling.ts';

const HELLO = golden.tokens.find(({ text }) => text === 'Hello, world!')?.ids ?? [];
const never = new AbortController().signal;

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

  it('notes the prompts of each step before it, and none when it rests', async () => {
    const engine = createTestEngine(new FakeDecoder());

    await Promise.all([
      generate(engine, { promptKey: 'a', maxTokens: 1 }),
      generate(engine, { promptKey: 'b', maxTokens: 1, promptTokenIds: ids(60, 9) }),
    ]);

    assert.deepEqual(engine.trace.slice(-2), ['a b', '']);
  });

  it('clears a suspected prompt whose answer came to its end', async () => {
    const engine = createTestEngine(new FakeDecoder());
    engine.quarantine.learn([{ key: 'a', numDeaths: 1 }]);

    await generate(engine, { promptKey: 'a', maxTokens: 3 });

    assert(engine.trace.includes('a cleared'));
    assert.equal(engine.quarantine.isSuspect('a'), false);
  });

  it('fails the sequences of a failed step and goes on with the others', async () => {
    const decoder = new FakeDecoder();
    const engine = createTestEngine(decoder, { maxNumSeqs: 1 });
    decoder.failNext('device lost a bit');
    const failing = generate(engine);
    const other = generate(engine, { promptTokenIds: ids(60, 9) });

    await assert.rejects(failing, refusal('ENGINE_FAILED'));
    assert.equal((await other).answers[0]?.tokenIds.length, 12);
    assert.equal(engine.scheduler.pool.numFree, 64);
  });

  it('goes on after any number of steps for which the device had no memory', async () => {
    const decoder = new FakeDecoder();
    const engine = createTestEngine(decoder);

    for (let i = 0; i < 5; i++) {
      decoder.failNext(new EngineError('OUT_OF_MEMORY', 'rank 1 of 2, cuda:1 is out of memory'));
      await assert.rejects(
        generate(engine),
        refusal('NO_READY_ENDPOINT', /a step of the engine failed: rank 1 of 2, cuda:1 is out/),
      );
    }

    assert.equal((await generate(engine)).answers[0]?.tokenIds.length, 12);
    assertSchedulerInvariants(engine.scheduler);
  });

  it('says of a token for which there is no memory that another backbone may have it', async () => {
    const decoder = new FakeDecoder();
    decoder.failureOf = () => new EngineError('OUT_OF_MEMORY', 'cuda:0 is out of memory');

    const failing = generate(createTestEngine(decoder));

    await assert.rejects(failing, refusal('NO_READY_ENDPOINT', /cuda:0 is out of memory/));
  });

  it('fails only the sequence whose token cannot be chosen, however often', async () => {
    const decoder = new FakeDecoder();
    decoder.failureOf = ({ minP }) =>
      minP === 0.5 ? new EngineError('INVALID_REQUEST', 'every token is forbidden') : undefined;
    const engine = createTestEngine(decoder);
    const other = generate(engine, { promptTokenIds: ids(60, 9), maxTokens: 12 });

    for (let i = 0; i < 5; i++) {
      await assert.rejects(
        generate(engine, { settings: { minP: 0.5 } }),
        refusal('INVALID_REQUEST', /forbidden/),
      );
    }

    assert.equal((await other).answers[0]?.tokenIds.length, 12);
    assert.equal(engine.scheduler.pool.numFree, 64);
    assertSchedulerInvariants(engine.scheduler);
  });

  it('keeps no block of a sequence that failed in the prefix cache', async () => {
    const decoder = new FakeDecoder();
    decoder.failureOf = () => new EngineError('ENGINE_FAILED', 'the logits are not finite');
    const engine = createTestEngine(decoder);

    await assert.rejects(generate(engine), refusal('ENGINE_FAILED', /not finite/));
    decoder.failureOf = () => undefined;
    await generate(engine);

    assert.equal(engine.scheduler.counts.numPrefixHitTokens, 0);
  });

  it('fails only the request whose answer cannot be put together', async () => {
    const engine = createTestEngine(new FakeDecoder());
    const broken = new Generation(requestOf(), engine.context);
    broken.advanced = () => {
      throw new Error('a defect');
    };

    broken.start();
    const failing = assert.rejects(collect(broken.responses.read(never)), /a defect/);
    const { answers } = await generate(engine, { promptTokenIds: ids(60, 9) });

    await failing;
    assert.equal(answers[0]?.tokenIds.length, 12);
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

    await assert.rejects(engine.done, refusal('ENGINE_DEAD', /3 steps .* device is gone/));

    assert.deepEqual(
      (await outcomes).map(({ status }) => status),
      Array(4).fill('rejected'),
    );
  });

  it('dies when a step stands still: fails all it has, tells why, keeps the step noted', async () => {
    const decoder = new FakeDecoder();
    const engine = createTestEngine(decoder, { maxNumSeqs: 1 });
    await generate(engine, { promptTokenIds: [1], maxTokens: 1 });
    decoder.hold();
    const inStep = generate(engine, { promptTokenIds: [2], promptKey: 'a' });
    const waiting = generate(engine, { promptTokenIds: [3] });
    const outcomes = Promise.allSettled([inStep, waiting]);
    await until(() => engine.clock.numTimers > 0);

    engine.clock.advance(STEP_LIMIT_MS);

    await assert.rejects(engine.done, refusal('ENGINE_DEAD', /has not ended for 5 s/));
    for (const outcome of await outcomes) {
      assert(outcome.status === 'rejected');
      refusal('ENGINE_DEAD', /stands still/)(outcome.reason);
    }
    await assert.rejects(generate(engine), refusal('ENGINE_DEAD', /stands still/));
    assert.equal(engine.trace.at(-1), 'a');
  });

  it('ends when it is closed and takes nothing more', async () => {
    const engine = createTestEngine(new FakeDecoder());
    await generate(engine);

    engine.engine.close();

    await engine.done;
    await assert.rejects(generate(engine), refusal('ENGINE_FAILED'));
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
