import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allowedIds } from '#backbone/engine/allowed-ids.ts';
import { assertSchedulerInvariants } from '#backbone/engine/scheduler-invariants.ts';
import type { SpeculationOptions } from '#backbone/engine/speculation-options.ts';
import { EngineError, type SampleParams } from '#native';
import { samplesOf } from '#test/metric-samples.ts';
import { refusal } from '#test/refusal.ts';
import { seededRandom } from '#test/seeded-random.ts';
import { FakeDecoder, type NextToken } from '#test/unit/llm-backbone/fake-decoder.ts';
import {
  type Collected,
  createTestEngine,
  generate,
  type RequestShape,
  type TestEngine,
} from '#test/unit/llm-backbone/test-engine.ts';
import { ids, schedulerOf, sequenceOf } from './scheduling.ts';

const SPECULATION: SpeculationOptions = {
  numTokens: 4,
  lookup: { min: 2, max: 3 },
  maxRunning: Number.POSITIVE_INFINITY,
};

/** Adds up whatever a token may depend on besides its context. */
function sumOfParams(params: SampleParams): number {
  const { seed, stream, position, seenTokenIds, generatedTokenIds, generatedCounts } = params;
  const sum = (numbers: Uint32Array) => numbers.reduce((total, one) => total + one, 0);
  const counts = generatedTokenIds.reduce((s, id, i) => s + id * (generatedCounts[i] ?? 0), 0);
  const words = sum(params.forbiddenTokenIds) + sum(seenTokenIds) + counts;
  return Number(seed % 97n) + stream + words + (position % 13 === 0 ? position : 0);
}

/**
 * Chooses tokens that repeat for a while, as answers do that quote their prompt: each follows from
 * the one before it, and every now and then from the parameters.
 */
const repeating: NextToken = (context, params) => {
  const last = context.at(-1) ?? 0;
  const isTurn = (context.length * 7 + sumOfParams(params)) % 9 === 0;
  const candidate = 40 + ((last * 3 + (isTurn ? sumOfParams(params) : 1)) % 11);
  return params.forbiddenTokenIds.includes(candidate) ? 60 : candidate;
};

function engineWith(
  speculation: SpeculationOptions | null,
  decoder = new FakeDecoder({ nextToken: repeating }),
): TestEngine {
  return createTestEngine(decoder, { speculation });
}

/** Makes requests of all kinds that have something to do with the next token's parameters. */
function randomShapes(seed: number): RequestShape[] {
  const random = seededRandom(seed);
  const upTo = (n: number) => Math.floor(random() * n);
  return Array.from({ length: 6 }, (_, i) => {
    const maxTokens = 20 + upTo(60);
    return {
      promptTokenIds: ids(40 + i, 5 + upTo(40)),
      maxTokens,
      numChoices: 1 + upTo(2),
      numLogprobs: upTo(3) - 1,
      settings: {
        seed: BigInt(upTo(1000)),
        repetitionPenalty: upTo(2) === 0 ? 1 : 1.1,
        presencePenalty: upTo(2),
        badWords: upTo(2) === 0 ? [] : [[41, 44], [43]],
        minTokens: upTo(30),
        endTokenIds: [45],
      },
      output: {
        endRules: {
          maxTokens,
          eosTokenIds: new Set(upTo(2) === 0 ? [] : [45]),
          stopTokenIds: new Set(upTo(2) === 0 ? [] : [47]),
        },
      },
    };
  });
}

const answersOf = ({ answers }: Collected) =>
  answers.map(({ tokenIds, text }) => ({ tokenIds, text }));

/** Returns the sum of a counter of the engine. */
function countOf({ registry }: TestEngine, name: string): number {
  return samplesOf(registry, name).reduce((sum, { value }) => sum + value, 0);
}

const numAccepted = (engine: TestEngine) => countOf(engine, 'spec_decode_num_accepted_tokens');

describe('an engine that drafts tokens', () => {
  it('answers every request with the tokens it has without drafts, in fewer steps', async () => {
    let numSteps = 0;
    let numStepsWithout = 0;
    for (let seed = 0; seed < 20; seed++) {
      const decoders = [
        new FakeDecoder({ nextToken: repeating }),
        new FakeDecoder({ nextToken: repeating }),
      ] as const;
      const [drafting, plain] = [
        engineWith(SPECULATION, decoders[0]),
        engineWith(null, decoders[1]),
      ];
      const shapes = randomShapes(seed);
      const run = (engine: TestEngine) =>
        Promise.all(shapes.map((shape) => generate(engine, shape)));

      const [drafted, expected] = [await run(drafting), await run(plain)];

      assert.deepEqual(drafted.map(answersOf), expected.map(answersOf));
      assertSchedulerInvariants(drafting.scheduler);
      assert.equal(drafting.scheduler.pool.numFree, 64);
      assert(numAccepted(drafting) > 0);
      assert.equal(numAccepted(plain), 0);
      numSteps += decoders[0].trace.length;
      numStepsWithout += decoders[1].trace.length;
    }
    assert(numSteps < 0.8 * numStepsWithout, `${numSteps} of ${numStepsWithout} steps`);
  });

  it('preempts nobody for a draft, and answers the same where blocks are short', async () => {
    const shapes = ids(0, 4).map((i) => ({ promptTokenIds: ids(40 + i, 30), maxTokens: 60 }));
    const run = async (speculation: SpeculationOptions | null) => {
      const decoder = new FakeDecoder({ nextToken: repeating, numBlocks: 14 });
      const engine = engineWith(speculation, decoder);
      const answers = await Promise.all(shapes.map((shape) => generate(engine, shape)));
      return { answers: answers.map(answersOf), counts: engine.scheduler.counts };
    };

    const [drafted, plain] = [await run(SPECULATION), await run(null)];

    assert.deepEqual(drafted.answers, plain.answers);
    assert(plain.counts.numPreemptions > 0);
    assert(drafted.counts.numPreemptions <= plain.counts.numPreemptions);
  });

  it('delivers the tokens before a place where none can be chosen, then fails', async () => {
    const run = async (speculation: SpeculationOptions | null) => {
      const decoder = new FakeDecoder({ nextToken: repeating });
      decoder.failureOf = ({ position }) =>
        position === 17
          ? new EngineError('INVALID_REQUEST', 'every token is forbidden')
          : undefined;
      const engine = engineWith(speculation, decoder);
      await assert.rejects(
        generate(engine, { maxTokens: 60 }),
        refusal('INVALID_REQUEST', /forbidden/),
      );
      return countOf(engine, 'generation_tokens');
    };

    assert.equal(await run(SPECULATION), 17);
    assert.equal(await run(null), 17);
  });

  it('drafts nothing beside as many sequences as make it a loss', async () => {
    const busy = engineWith({ ...SPECULATION, maxRunning: 1 });

    await generate(busy, { maxTokens: 60 });

    assert.equal(numAccepted(busy), 0);
  });

  it('leaves a constrained sequence the tokens that it has without drafts', async () => {
    const createConstraint = () => allowedIds(ids(40, 3), 1536);
    const shape = { maxTokens: 60, settings: { createConstraint } };
    const drafting = engineWith(SPECULATION);

    const { answers } = await generate(drafting, shape);

    assert.deepEqual(answers, (await generate(engineWith(null), shape)).answers);
    assert(numAccepted(drafting) > 0);
  });
});

describe('a step with drafts', () => {
  const REPEATED = [10, 11, 12, 13, 10, 11];

  it('gives everything else its budget and blocks first', () => {
    const scheduler = schedulerOf({ maxNumBatchedTokens: 8, speculation: SPECULATION });
    const first = sequenceOf({ id: 1, promptTokenIds: REPEATED });
    scheduler.add([first]);
    scheduler.commit(scheduler.schedule() ?? assert.fail(), [[12]], 0);
    scheduler.add([sequenceOf({ id: 2, promptTokenIds: ids(50, 5) })]);

    const step = scheduler.schedule();

    assert.deepEqual(
      step?.chunks.map(({ numTokens, draftIds }) => [numTokens, draftIds]),
      [
        [1, [13, 10]],
        [5, []],
      ],
    );
    assert.equal(step.numTokens, 8);
  });

  it('gives back the blocks of drafts that were refused', () => {
    const scheduler = schedulerOf({ blockSize: 4, speculation: SPECULATION });
    const sequence = sequenceOf({ id: 1, promptTokenIds: REPEATED });
    scheduler.add([sequence]);
    scheduler.commit(scheduler.schedule() ?? assert.fail(), [[12]], 0);
    const step = scheduler.schedule() ?? assert.fail();
    assert.equal(sequence.blockTable.length, 3);

    scheduler.commit(step, [[20]], 0);

    assert.equal(sequence.blockTable.length, 2);
    assert.equal(sequence.numComputedTokens, 7);
    assertSchedulerInvariants(scheduler);
  });

  it('drafts no token that the end of the answer would cut', () => {
    const scheduler = schedulerOf({ speculation: SPECULATION });
    scheduler.add([sequenceOf({ id: 1, promptTokenIds: REPEATED, maxTokens: 3 })]);
    scheduler.commit(scheduler.schedule() ?? assert.fail(), [[12]], 0);

    assert.deepEqual(scheduler.schedule()?.chunks[0]?.draftIds, [13]);
  });
});
