import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allowedIds } from '#backbone/engine/allowed-ids.ts';
import { SamplerState, type SamplingSettings } from '#backbone/engine/sampler-state.ts';
import { checkSampling } from '#backbone/request/sampling.ts';
import { withThinkingBudget } from '#backbone/request/thinking-budget.ts';
import { SamplingParams } from '#protos/autoglm/llm/v1/sampling.ts';
import { refusal } from '#test/refusal.ts';
import { bitsOf } from '#test/unit/llm-backbone/engine/only-next.ts';
import { GREEDY } from '#test/unit/llm-backbone/engine/scheduling.ts';
import { vocabulary } from '#test/unit/llm-backbone/text-model.ts';

const [ASSISTANT, OPEN, CLOSE] = ['<|assistant|>', '<think>', '</think>'].map(
  (token) => vocabulary.addedId(token) ?? -1,
) as [number, number, number];
const numLogits = vocabulary.size;

interface Case {
  readonly params?: Partial<SamplingParams>;
  readonly prompt?: readonly number[];
  readonly other?: SamplingSettings['createConstraint'];
  readonly badWords?: readonly (readonly number[])[];
}

function constraintOf({ params = {}, prompt = [], other = null, badWords = [] }: Case) {
  const sampling = checkSampling(SamplingParams.fromPartial(params), {
    defaults: { temperature: 1, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1 },
    vocabSize: vocabulary.size,
    numLogits,
    eosTokenIds: [],
    drawSeed: () => 0n,
  });
  const facts = { vocabulary, sampling: { numLogits }, promptTokenIds: prompt, badWords };
  return withThinkingBudget(other, sampling, facts);
}

/** Returns after which tokens of an answer only the end of the thoughts may follow. */
function forcedAfter(create: SamplingSettings['createConstraint'], tokenIds: readonly number[]) {
  assert(create !== null);
  const constraint = create();
  const isForced = () => String(bitsOf(constraint.mask([]))) === String([CLOSE]);
  const forced = isForced() ? [-1] : [];
  for (const [i, id] of tokenIds.entries()) {
    constraint.accept(id);
    if (isForced()) forced.push(i);
  }
  return forced;
}

describe('A budget of thinking tokens', () => {
  it('ends the thoughts when they have as many tokens', () => {
    const create = constraintOf({ params: { thinkingTokenBudget: 2 } });

    assert.deepEqual(forcedAfter(create, [5, OPEN, 6, 7, CLOSE, 8, 9, 10]), [3]);
  });

  it('counts from the start where the prompt has opened the thoughts', () => {
    const prompt = [ASSISTANT, OPEN];

    const create = constraintOf({ params: { thinkingTokenBudget: 1 }, prompt });

    assert.deepEqual(forcedAfter(create, [5, CLOSE, 6]), [0]);
  });

  it('of zero ends them at once', () => {
    const create = constraintOf({ params: { thinkingTokenBudget: 0 } });

    assert.deepEqual(forcedAfter(create, [OPEN, CLOSE, 6]), [0]);
  });

  it('leaves an answer alone that does not think, or thinks less', () => {
    const create = constraintOf({ params: { thinkingTokenBudget: 3 } });

    assert.deepEqual(forcedAfter(create, [5, 6, 7, 8, OPEN, 6, CLOSE, 7, 8, 9]), []);
  });

  it('gives way to another constraint everywhere else', () => {
    const other = () => allowedIds([6], numLogits);
    const create = constraintOf({ params: { thinkingTokenBudget: 1 }, other });
    assert(create !== null);
    const constraint = create();

    const masks = [OPEN, 6, CLOSE].map((id) => {
      const mask = bitsOf(constraint.mask([]));
      constraint.accept(id);
      return mask;
    });

    assert.deepEqual([...masks, bitsOf(constraint.mask([]))], [[6], [6], [CLOSE], [6]]);
  });

  it('goes on where a resumed answer broke off', () => {
    const createConstraint = constraintOf({ params: { thinkingTokenBudget: 2 } });
    const settings = { ...GREEDY, vocabLimit: vocabulary.size, createConstraint };

    const state = new SamplerState(settings, [], [OPEN, 5, 6], 0);

    assert.deepEqual(bitsOf(state.nextParams().allowedTokens), [CLOSE]);
  });

  it('holds behind drafted tokens too, and takes none that go beyond it', () => {
    const create = constraintOf({ params: { thinkingTokenBudget: 2 } });
    assert(create !== null);
    const constraint = create();
    constraint.accept(OPEN);

    assert.deepEqual(bitsOf(constraint.mask([5, 6])), [CLOSE]);
    assert.equal(constraint.mask([5]), undefined);
    assert.equal(constraint.numAllowed([5, 6, 7]), 2);
    assert.equal(constraint.numAllowed([5, 6, CLOSE, 7]), 4);
  });

  it('is none if the request has none', () => {
    assert.equal(constraintOf({}), null);
  });

  const contradictions: readonly (readonly [string, Case])[] = [
    ['ids that are allowed', { params: { allowedTokenIds: [5] } }],
    ['words that are forbidden', { badWords: [[5, CLOSE]] }],
    ['a stop token that must not come yet', { params: { stopTokenIds: [CLOSE], minTokens: 1 } }],
  ];
  for (const [what, { params, ...rest }] of contradictions) {
    it(`is refused beside ${what}, if thoughts cannot end then`, () => {
      assert.throws(
        () => constraintOf({ ...rest, params: { ...params, thinkingTokenBudget: 1 } }),
        refusal('INVALID_REQUEST', /forbid the token/, 'sampling.thinking_token_budget'),
      );
    });
  }
});
