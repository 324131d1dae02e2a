import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertSchedulerInvariants } from '#backbone/engine/scheduler-invariants.ts';
import { Generation } from '#backbone/request/generation.ts';
import { refusal } from '#test/refusal.ts';
import { seededRandom } from '#test/seeded-random.ts';
import { FakeDecoder, hashedToken, type NextToken } from '#test/unit/llm-backbone/fake-decoder.ts';
import {
  collect,
  createTestEngine,
  generate,
  type RequestShape,
  requestOf,
} from '#test/unit/llm-backbone/test-engine.ts';
import { ids } from './scheduling.ts';

/** Time of a step that is too long for another to be planned ahead, microseconds. */
const LONG_US = 1e6;
const NUM_BLOCKS = 24;

/** Chooses by the context and by all that penalties have counted. */
const counting: NextToken = (context, params) => {
  const { seenTokenIds, generatedTokenIds, generatedCounts, position } = params;
  const counts = generatedTokenIds.reduce((sum, id, i) => sum + id * (generatedCounts[i] ?? 0), 0);
  const seen = seenTokenIds.reduce((sum, id) => sum + id, 0);
  return hashedToken([...context, counts % 1009, seen % 1009, position], params);
};

/** Makes requests that end by their length or by stop ids, with and without penalties. */
function randomShapes(seed: number): RequestShape[] {
  const random = seededRandom(seed);
  const upTo = (n: number) => Math.floor(random() * n);
  return Array.from({ length: 8 }, (_, i) => {
    const maxTokens = 1 + upTo(40);
    const stopTokenIds = new Set(ids(0, upTo(2) * 20));
    return {
      promptTokenIds: ids(40 + i, 5 + upTo(40)),
      maxTokens,
      numChoices: 1 + upTo(2),
      settings: {
        temperature: 1,
        seed: BigInt(upTo(1000)),
        repetitionPenalty: upTo(2) === 0 ? 1 : 1.1,
        frequencyPenalty: upTo(2),
        badWords: upTo(6) === 0 ? [[41, 44], [43]] : [],
        minTokens: upTo(10),
        endTokenIds: [...stopTokenIds],
      },
      output: { endRules: { maxTokens, eosTokenIds: new Set(), stopTokenIds } },
    };
  });
}

/** Counts the steps that a decoder got before the one before had ended. */
function numPlannedAhead(trace: readonly string[]): number {
  const isGiven = (event: string | undefined) => event?.startsWith('execute ') === true;
  return trace.filter((event, i) => isGiven(event) && isGiven(trace[i - 1])).length;
}

describe('steps that are planned ahead', () => {
  it('are given to the device before the one before has ended', async () => {
    const decoder = new FakeDecoder();
    const engine = createTestEngine(decoder);

    await generate(engine, { maxTokens: 5 });

    // The pace of the device is not known before its first step has ended.
    assert.deepEqual(decoder.trace, [
      ...['execute 20', 'executed'],
      ...['execute 1', 'execute 1', 'executed'],
      ...['execute 1', 'executed'],
      ...['execute 1', 'executed'],
      'executed',
    ]);
  });

  it('bring the tokens that steps bring one after another', async () => {
    let numAhead = 0;
    for (let seed = 0; seed < 30; seed++) {
      const shapes = randomShapes(seed);
      const run = async (forwardUs: number) => {
        const decoder = new FakeDecoder({ nextToken: counting, numBlocks: NUM_BLOCKS });
        decoder.forwardUs = forwardUs;
        const engine = createTestEngine(decoder, { maxNumSeqs: 6 });
        const done = await Promise.all(shapes.map((shape) => generate(engine, shape)));
        assertSchedulerInvariants(engine.scheduler);
        assert.equal(engine.scheduler.pool.numFree, NUM_BLOCKS);
        const tokenIds = done.map(({ answers }) => answers.map((one) => one.tokenIds));
        return { tokenIds, numAhead: numPlannedAhead(decoder.trace) };
      };

      const [ahead, plain] = [await run(1), await run(LONG_US)];

      assert.deepEqual(ahead.tokenIds, plain.tokenIds);
      assert.equal(plain.numAhead, 0);
      numAhead += ahead.numAhead;
    }
    assert(numAhead > 0);
  });

  it('are not planned while a request could start', async () => {
    const decoder = new FakeDecoder();
    const engine = createTestEngine(decoder);
    const first = generate(engine, { maxTokens: 30 });
    const late = new Generation(requestOf({ promptTokenIds: ids(60, 9) }), engine.context);
    decoder.nextToken = (context, params) => {
      if (context.length === 25) late.start();
      return hashedToken(context, params);
    };

    await Promise.all([first, collect(late.responses.read(new AbortController().signal))]);

    // It came while a step ran that had one behind it, and is in the step after that.
    const events = decoder.trace.filter((event) => event.startsWith('execute '));
    assert.equal(events.indexOf('execute 10') - events.indexOf('execute 20'), 7);
  });

  it('leave nothing of a request that was withdrawn meanwhile', async () => {
    const decoder = new FakeDecoder();
    const engine = createTestEngine(decoder);
    const generation = new Generation(requestOf({ maxTokens: 30 }), engine.context);
    decoder.nextToken = (context, params) => {
      if (context.length === 25) generation.cancel();
      return hashedToken(context, params);
    };
    generation.start();

    await generate(engine, { promptTokenIds: ids(60, 9), maxTokens: 40 });

    assert.equal(engine.scheduler.pool.numFree, 64);
    assertSchedulerInvariants(engine.scheduler);
  });

  it('fail with the step before them, which counts as one failure', async () => {
    const decoder = new FakeDecoder();
    const engine = createTestEngine(decoder);
    for (let i = 0; i < 4; i++) {
      decoder.nextToken = (context, params) => {
        if (context.length === 25) {
          decoder.failNext('device lost a bit');
          decoder.failNext('the step before brought none');
        }
        return hashedToken(context, params);
      };

      await assert.rejects(generate(engine), refusal('ENGINE_FAILED', /lost a bit/));
    }

    decoder.nextToken = hashedToken;
    assert.equal((await generate(engine)).answers[0]?.tokenIds.length, 12);
    assert.equal(engine.scheduler.pool.numFree, 64);
  });

  it('are not planned where their blocks would have to be taken from another', async () => {
    const shapes = ids(0, 4).map((i) => ({ promptTokenIds: ids(40 + i, 30), maxTokens: 60 }));
    const run = async (forwardUs: number) => {
      const decoder = new FakeDecoder({ numBlocks: 14 });
      decoder.forwardUs = forwardUs;
      const engine = createTestEngine(decoder);
      const answers = await Promise.all(shapes.map((shape) => generate(engine, shape)));
      return { answers: answers.map((one) => one.answers), counts: engine.scheduler.counts };
    };

    const [ahead, plain] = [await run(1), await run(LONG_US)];

    assert.deepEqual(ahead.answers, plain.answers);
    assert(ahead.counts.numPreemptions > 0);
  });
});
