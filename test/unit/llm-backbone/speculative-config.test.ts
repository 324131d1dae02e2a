import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseSpeculativeConfig } from '#backbone/speculative-config.ts';
import { refusal } from '#test/refusal.ts';

describe('parseSpeculativeConfig', () => {
  const parse = (config: object) => parseSpeculativeConfig(JSON.stringify(config));
  const ngram = { method: 'ngram', num_speculative_tokens: 4 };

  it('drafts nothing unless it is asked to', () => {
    assert.equal(parseSpeculativeConfig(undefined), null);
  });

  it('reads the names of vLLM with its defaults', () => {
    assert.deepEqual(parse(ngram), {
      numTokens: 4,
      lookup: { min: 5, max: 5 },
      maxRunning: Number.POSITIVE_INFINITY,
    });
    assert.deepEqual(parse({ ...ngram, prompt_lookup_max: 3 })?.lookup, { min: 3, max: 3 });
    assert.deepEqual(parse({ ...ngram, prompt_lookup_min: 2 })?.lookup, { min: 2, max: 2 });
    assert.equal(parse({ ...ngram, disable_by_batch_size: 8 })?.maxRunning, 8);
  });

  const REFUSED: readonly [string, RegExp][] = [
    ['{', /not valid JSON/],
    ['[]', /object/],
    ['{"method":"ngram"}', /num_speculative_tokens/],
    ['{"method":"eagle","num_speculative_tokens":2}', /method.*ngram is the only method/],
    ['{"method":"ngram","num_speculative_tokens":0}', /num_speculative_tokens .*1/],
    ['{"method":"ngram","num_speculative_tokens":2.5}', /num_speculative_tokens .*integer/],
    ['{"method":"ngram","num_speculative_tokens":2,"model":"a"}', /"model" is not a field/],
    [
      '{"method":"ngram","num_speculative_tokens":2,"prompt_lookup_min":4,"prompt_lookup_max":3}',
      /prompt_lookup_min is above/,
    ],
  ];
  for (const [text, message] of REFUSED) {
    it(`refuses ${text} by its key`, () => {
      assert.throws(
        () => parseSpeculativeConfig(text),
        refusal('INVALID_REQUEST', message, 'speculative-config'),
      );
    });
  }
});
