import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SamplerState, type SamplingSettings } from '#backbone/engine/sampler-state.ts';
import { bitsOf, OnlyNext } from './only-next.ts';
import { GREEDY, ids } from './scheduling.ts';

function stateOf(
  settings: Partial<SamplingSettings>,
  prompt: number[] = [],
  completion: number[] = [],
) {
  return new SamplerState({ ...GREEDY, ...settings }, prompt, completion, 3);
}

describe('SamplerState', () => {
  it('keys the random number by seed, choice and position', () => {
    const state = stateOf({ seed: 42n });
    state.append(7);

    const { seed, stream, position } = state.nextParams();

    assert.deepEqual({ seed, stream, position }, { seed: 42n, stream: 3, position: 1 });
  });

  it('counts prompt and completion for the repetition penalty, the completion for the others', () => {
    const state = stateOf({ repetitionPenalty: 1.1, frequencyPenalty: 0.2 }, [5, 6, 5]);
    for (const id of [6, 8, 8]) state.append(id);

    const params = state.nextParams();

    assert.deepEqual([...params.seenTokenIds], [5, 6, 8]);
    assert.deepEqual([...params.generatedTokenIds], [6, 8]);
    assert.deepEqual([...params.generatedCounts], [1, 2]);
  });

  it('keeps no counts where no penalty reads them', () => {
    const state = stateOf({}, [5], [6]);

    assert.equal(state.nextParams().seenTokenIds.length, 0);
    assert.equal(state.nextParams().generatedTokenIds.length, 0);
  });

  it('keeps counting beyond the first arrays', () => {
    const state = stateOf({ presencePenalty: 1 }, [], ids(0, 200));

    assert.deepEqual([...state.nextParams().generatedTokenIds], ids(0, 200));
  });

  it('is the same after a resume as after generating', () => {
    const settings = { repetitionPenalty: 2, presencePenalty: 1, minTokens: 5, endTokenIds: [2] };
    const generated = stateOf(settings, [1]);
    for (const id of [4, 5, 4]) generated.append(id);

    assert.deepEqual(stateOf(settings, [1], [4, 5, 4]).nextParams(), generated.nextParams());
  });

  it('gives the parameters behind a draft as if it had been appended, and keeps its own', () => {
    const settings = {
      repetitionPenalty: 2,
      presencePenalty: 1,
      minTokens: 5,
      endTokenIds: [2],
      badWords: [[4, 9, 7]],
    };
    const state = stateOf(settings, [1], [4]);
    const before = state.nextParams();

    for (const draft of [[], [9], [4, 9], [9, 9, 8, 4, 9]]) {
      assert.deepEqual(
        state.paramsAfter(draft),
        stateOf(settings, [1], [4, ...draft]).nextParams(),
      );
    }
    assert.deepEqual(state.nextParams(), before);
  });

  it('forbids whatever ends the answer before minTokens', () => {
    const state = stateOf({ minTokens: 1, endTokenIds: [2, 3] });

    assert.deepEqual([...state.nextParams().forbiddenTokenIds], [2, 3]);
    state.append(7);
    assert.deepEqual([...state.nextParams().forbiddenTokenIds], []);
  });

  it('forbids the last token of a bad word when its beginning was just generated', () => {
    const state = stateOf({ badWords: [[4, 5, 6], [9]] });

    assert.deepEqual([...state.nextParams().forbiddenTokenIds], [9]);
    state.append(4);
    state.append(5);
    assert.deepEqual([...state.nextParams().forbiddenTokenIds], [6, 9]);
    state.append(7);
    assert.deepEqual([...state.nextParams().forbiddenTokenIds], [9]);
  });

  it('does not look for bad words in the prompt', () => {
    const state = stateOf({ badWords: [[4, 5]] }, [4]);

    assert.deepEqual([...state.nextParams().forbiddenTokenIds], []);
  });

  it('finds a bad word that begins within another beginning of it', () => {
    const state = stateOf({ badWords: [[4, 4, 5, 6]] });
    for (const id of [4, 4, 4, 5]) state.append(id);

    assert.deepEqual([...state.nextParams().forbiddenTokenIds], [6]);
  });

  it('takes as long for a token whatever the bad words nearly match', () => {
    // Comparing every word from its start for each token takes 2 million comparisons per token.
    const badWords = Array.from({ length: 2048 }, (_, i) => [...Array<number>(1023).fill(4), 5, i]);
    const startMs = performance.now();
    const state = stateOf({ badWords });
    for (let i = 0; i < 1500; i++) {
      state.append(4);
      assert.equal(state.nextParams().forbiddenTokenIds.length, 0);
    }

    assert(performance.now() - startMs < 2000);
  });

  it('puts the mask of its constraint into the parameters, position by position', () => {
    const state = stateOf({ createConstraint: () => new OnlyNext(1000) });

    assert.deepEqual(bitsOf(state.nextParams().allowedTokens), [0]);
    state.append(0);
    assert.deepEqual(bitsOf(state.nextParams().allowedTokens), [1]);
    state.append(63);
    assert.deepEqual(bitsOf(state.nextParams().allowedTokens), [64]);
    assert.equal(state.nextParams().allowedTokens?.length, 32);
  });

  it('tells its constraint the completion but not the prompt, and on resume the delivered tokens', () => {
    const state = stateOf({ createConstraint: () => new OnlyNext(1000) }, [7, 8], [40, 41]);

    assert.deepEqual(bitsOf(state.nextParams().allowedTokens), [42]);
  });

  it('has no mask without a constraint, nor while its constraint allows all', () => {
    const free = { mask: () => undefined, numAllowed: () => 0, accept: () => {} };

    assert.equal('allowedTokens' in stateOf({}).nextParams(), false);
    assert.equal('allowedTokens' in stateOf({ createConstraint: () => free }).nextParams(), false);
  });

  it('gives each choice a constraint of its own', () => {
    const settings = { createConstraint: () => new OnlyNext(1000) };
    const [one, other] = [stateOf(settings), stateOf(settings)];

    one.append(9);

    assert.deepEqual(bitsOf(one.nextParams().allowedTokens), [10]);
    assert.deepEqual(bitsOf(other.nextParams().allowedTokens), [0]);
  });
});
