import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeDecoder, type NextToken } from '#test/unit/llm-backbone/fake-decoder.ts';
import { createTestEngine, generate } from '#test/unit/llm-backbone/test-engine.ts';
import { vocabulary } from '#test/unit/llm-backbone/text-model.ts';
import { bitsOf, OnlyNext } from './only-next.ts';
import { ids } from './scheduling.ts';

/** Chooses the first token that the mask allows; 999 without a mask. */
const firstAllowed: NextToken = (_, { allowedTokens }) => bitsOf(allowedTokens)[0] ?? 999;

const createConstraint = () => new OnlyNext(vocabulary.size);

describe('a token constraint', () => {
  it('decides with every token what the decoder may choose next', async () => {
    const engine = createTestEngine(new FakeDecoder({ nextToken: firstAllowed }));

    const { answers } = await generate(engine, { maxTokens: 40, settings: { createConstraint } });

    assert.deepEqual(answers[0]?.tokenIds, ids(0, 40));
  });

  it('limits its own request and no other in the same step', async () => {
    const engine = createTestEngine(new FakeDecoder({ nextToken: firstAllowed }));

    const [limited, free] = await Promise.all([
      generate(engine, { maxTokens: 3, numChoices: 2, settings: { createConstraint } }),
      generate(engine, { maxTokens: 3, promptTokenIds: [1, 2] }),
    ]);

    assert.deepEqual(
      limited.answers.map(({ tokenIds }) => tokenIds),
      [ids(0, 3), ids(0, 3)],
    );
    assert.deepEqual(free.answers[0]?.tokenIds, [999, 999, 999]);
  });

  it('goes on where it was after preemption', async () => {
    const decoder = new FakeDecoder({ nextToken: firstAllowed, numBlocks: 5 });
    const engine = createTestEngine(decoder);

    const all = await Promise.all(
      [1, 2, 3].map((first) =>
        generate(engine, {
          promptTokenIds: ids(100 * first, 20),
          maxTokens: 40,
          settings: { createConstraint },
        }),
      ),
    );

    assert(engine.scheduler.counts.numPreemptions > 0);
    for (const { answers } of all) assert.deepEqual(answers[0]?.tokenIds, ids(0, 40));
  });

  it('goes on behind the delivered tokens of a resume', async () => {
    const engine = createTestEngine(new FakeDecoder({ nextToken: firstAllowed }));
    const shape = { maxTokens: 10, settings: { createConstraint }, delivered: [ids(0, 6)] };

    const { answers } = await generate(engine, shape);

    assert.deepEqual(answers[0]?.tokenIds, ids(6, 4));
  });
});
