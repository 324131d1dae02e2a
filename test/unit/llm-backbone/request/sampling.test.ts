import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkAllowed, checkSampling, samplingDefaults } from '#backbone/request/sampling.ts';
import { createSeedSource } from '#backbone/request/seed-source.ts';
import { LOGIT_BIAS_RANGE, type Range, SAMPLING_FIELDS } from '#mesh/sampling-fields.ts';
import { SamplingParams } from '#protos/autoglm/llm/v1/sampling.ts';
import { refusal } from '#test/refusal.ts';

const facts = {
  defaults: samplingDefaults({}, 'auto'),
  vocabSize: 100,
  numLogits: 128,
  eosTokenIds: [2, 3],
  drawSeed: () => 99n,
};

function check(params: Partial<SamplingParams>, defaults = facts.defaults) {
  return checkSampling(SamplingParams.fromPartial(params), { ...facts, defaults });
}

describe('samplingDefaults', () => {
  const checkpoint = {
    do_sample: true,
    temperature: 0.8,
    top_p: 0.6,
    top_k: 2,
    repetition_penalty: 1.1,
  };

  it('takes the checkpoint’s values', () => {
    assert.deepEqual(samplingDefaults(checkpoint, 'auto'), {
      temperature: 0.8,
      topP: 0.6,
      topK: 2,
      minP: 0,
      repetitionPenalty: 1.1,
    });
  });

  it('is greedy where the checkpoint does not sample', () => {
    assert.equal(samplingDefaults({ do_sample: false }, 'auto').temperature, 0);
    assert.equal(samplingDefaults({ do_sample: false, temperature: 0.5 }, 'auto').temperature, 0);
  });

  it('refuses what every request would be refused for', () => {
    assert.throws(
      () => samplingDefaults({ repetition_penalty: 1e39 }, 'auto'),
      refusal('INVALID_REQUEST', /generation_config.json: repetitionPenalty is 1e\+39/),
    );
    samplingDefaults({ repetition_penalty: 1e39 }, 'vllm');
  });

  it('is neutral with vllm', () => {
    assert.deepEqual(samplingDefaults(checkpoint, 'vllm'), samplingDefaults({}, 'auto'));
    assert.equal(samplingDefaults(checkpoint, 'vllm').temperature, 1);
  });
});

describe('checkSampling', () => {
  it('takes the likeliest token for a top_p of 0, or of what float32 calls 0', () => {
    for (const topP of [0, 1e-46]) {
      const { settings } = check({ topP });

      assert.equal(settings.temperature, 0);
      assert(settings.topP > 0);
    }
  });

  it('lets the request override the defaults, field by field', () => {
    const defaults = samplingDefaults({ temperature: 0.8, top_p: 0.6 }, 'auto');

    const { settings } = check({ temperature: 0 }, defaults);

    assert.equal(settings.temperature, 0);
    assert.equal(settings.topP, 0.6);
  });

  it('completes a request that says nothing', () => {
    const { settings, numChoices, maxTokens } = checkSampling(undefined, facts);

    assert.equal(settings.temperature, 1);
    assert.equal(settings.topK, 0);
    assert.equal(settings.vocabLimit, 100);
    assert.equal(settings.allowedTokenIds, null);
    assert.equal(numChoices, 1);
    assert.equal(maxTokens, undefined);
  });

  it('takes the request’s seed, or draws one', () => {
    assert.equal(check({ seed: 5n }).settings.seed, 5n);
    assert.equal(check({}).settings.seed, 99n);
  });

  it('keeps all tokens for top_k -1 and 0', () => {
    assert.equal(check({ topK: -1 }).settings.topK, 0);
    assert.equal(check({ topK: 0 }).settings.topK, 0);
  });

  it('is greedy for a temperature that is all but 0', () => {
    assert.equal(check({ temperature: 1e-6 }).settings.temperature, 0);
  });

  it('stops at the model’s ids unless told to ignore them', () => {
    assert.deepEqual([...check({}).eosTokenIds], [2, 3]);
    assert.deepEqual([...check({ ignoreEos: true }).eosTokenIds], []);
  });

  it('keeps every end out of the first min_tokens, ignored or not', () => {
    const { settings } = check({ minTokens: 4, stopTokenIds: [7, 2], ignoreEos: true });

    assert.deepEqual(settings.endTokenIds, [2, 3, 7]);
    assert.equal(settings.minTokens, 4);
  });

  it('turns logit_bias into arrays', () => {
    const { settings } = check({ logitBias: { 5: -100, 9: 1.5 } });

    assert.deepEqual([...settings.biasTokenIds], [5, 9]);
    assert.deepEqual([...settings.biasValues], [-100, 1.5]);
  });

  const refused: { params: Partial<SamplingParams>; param: string }[] = [
    { params: { temperature: -0.1 }, param: 'temperature' },
    { params: { temperature: 2.1 }, param: 'temperature' },
    { params: { temperature: Number.NaN }, param: 'temperature' },
    { params: { topP: -0.1 }, param: 'top_p' },
    { params: { topP: 1.1 }, param: 'top_p' },
    { params: { topK: -2 }, param: 'top_k' },
    { params: { minP: -0.1 }, param: 'min_p' },
    { params: { minP: 1.5 }, param: 'min_p' },
    { params: { repetitionPenalty: 0 }, param: 'repetition_penalty' },
    { params: { repetitionPenalty: Number.POSITIVE_INFINITY }, param: 'repetition_penalty' },
    { params: { repetitionPenalty: 3e38 }, param: 'repetition_penalty' },
    { params: { repetitionPenalty: 1e-44 }, param: 'repetition_penalty' },
    { params: { logitBias: { 1: Number.NaN } }, param: 'logit_bias' },
    { params: { presencePenalty: 2.5 }, param: 'presence_penalty' },
    { params: { frequencyPenalty: -2.5 }, param: 'frequency_penalty' },
    { params: { logitBias: { 100: 1 } }, param: 'logit_bias' },
    { params: { logitBias: { 1: 101 } }, param: 'logit_bias' },
    { params: { allowedTokenIds: [100] }, param: 'allowed_token_ids' },
    { params: { stopTokenIds: [100] }, param: 'stop_token_ids' },
    { params: { stopStrings: [''] }, param: 'stop_strings' },
    { params: { stopStrings: ['x'.repeat(1025)] }, param: 'stop_strings' },
    { params: { stopStrings: Array(65).fill('x') }, param: 'stop_strings' },
    { params: { badWords: Array(1025).fill('x') }, param: 'bad_words' },
    { params: { stopTokenIds: Array(4097).fill(1) }, param: 'stop_token_ids' },
    { params: { allowedTokenIds: Array(101).fill(1) }, param: 'allowed_token_ids' },
    {
      params: { logitBias: Object.fromEntries(Array.from({ length: 4097 }, (_, id) => [id, 1])) },
      param: 'logit_bias',
    },
    { params: { badWords: Array(65).fill('x'.repeat(1024)) }, param: 'bad_words' },
    { params: { seed: -1n }, param: 'seed' },
    { params: { numChoices: 0 }, param: 'num_choices' },
    { params: { numChoices: 129 }, param: 'num_choices' },
    { params: { minTokens: 5, maxTokens: 4 }, param: 'min_tokens' },
    { params: { allowedTokenIds: [2], minTokens: 1 }, param: 'allowed_token_ids' },
  ];
  for (const { params, param } of refused) {
    const [name, value] = Object.entries(params)[0] ?? [];
    it(`refuses ${name} ${JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? String(v) : v)).slice(0, 40)} as ${param}`, () => {
      const matches = refusal('INVALID_REQUEST', new RegExp(param), `sampling.${param}`);
      assert.throws(() => check(params), matches);
    });
  }

  it('says what is allowed as its field has it', () => {
    assert.throws(
      () => check({ topK: -2 }),
      refusal('INVALID_REQUEST', /got -2, allowed is -1 or more$/),
    );
    assert.throws(
      () => check({ repetitionPenalty: 0 }),
      refusal('INVALID_REQUEST', /got 0, allowed is 0.01 to 100$/),
    );
    assert.throws(
      () => check({ numChoices: 0 }),
      refusal('INVALID_REQUEST', /allowed is 1 to 128$/),
    );
  });

  it('takes the ends of every range, as the float32 they arrive as', () => {
    const ranges: Record<string, Range> = { ...SAMPLING_FIELDS, logitBias: LOGIT_BIAS_RANGE };
    for (const [name, { min, max }] of Object.entries(ranges)) {
      for (const end of [min, max].map(Math.fround)) {
        check(name === 'logitBias' ? { logitBias: { 1: end } } : { [name]: end });
      }
    }
  });

  it('refuses stop tokens that leave nothing to begin with', () => {
    const every = Array.from({ length: 100 }, (_, id) => id);

    check({ stopTokenIds: every });
    assert.throws(
      () => check({ stopTokenIds: every, minTokens: 1 }),
      refusal('INVALID_REQUEST', /every token/, 'sampling.min_tokens'),
    );
  });

  it('refuses an allow-list that bad words empty', () => {
    const { settings } = check({ allowedTokenIds: [5, 6] });

    checkAllowed(settings, [[5], [6, 7]]);
    assert.throws(
      () => checkAllowed(settings, [[5], [6]]),
      refusal('INVALID_REQUEST', /forbidden/),
    );
  });
});

describe('createSeedSource', () => {
  it('draws the same series for the same instance seed', () => {
    const draw = (seed: number) => {
      const next = createSeedSource(seed);
      return [next(), next(), next()];
    };

    assert.deepEqual(draw(1), draw(1));
    assert.notDeepEqual(draw(1), draw(2));
    assert.equal(new Set(draw(1)).size, 3);
  });

  it('draws different seeds without one', () => {
    const next = createSeedSource(undefined);

    assert.notEqual(next(), next());
  });
});
