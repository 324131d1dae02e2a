import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import {
  CHECKPOINT_FIELDS,
  COUNT_FIELDS,
  SAMPLING_FIELDS,
  valuesByKey,
  valuesByName,
} from '#mesh/sampling-fields.ts';
import { SamplingParams } from '#protos/autoglm/llm/v1/sampling.ts';

const FIELDS = Object.entries({ ...SAMPLING_FIELDS, ...COUNT_FIELDS });

describe('the table of sampling fields', () => {
  const proto = readFileSync(join(PACKAGE_ROOT, 'protos/autoglm/llm/v1/sampling.proto'), 'utf8');
  for (const [key, field] of FIELDS) {
    const protoName = key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

    it(`has a field of the proto under ${key}, with the default that the proto names`, () => {
      const [, unset] =
        new RegExp(`Unset: (.*)\\.\\n  optional \\w+ ${protoName} =`).exec(proto) ?? [];

      assert(key in SamplingParams.create());
      assert.equal(unset === 'all' ? 0 : Number(unset), field.default);
    });

    it(`has a default for ${field.name} that a request could have`, () => {
      assert(field.default >= field.min && field.default <= field.max);
    });
  }
});

describe('values of sampling fields', () => {
  it('stand under the key or the name of the proto', () => {
    assert.deepEqual(
      valuesByKey(COUNT_FIELDS, ({ name }, key) => `${key} is ${name}`),
      { minTokens: 'minTokens is min_tokens', numChoices: 'numChoices is num_choices' },
    );
    assert.deepEqual(Object.keys(valuesByName(CHECKPOINT_FIELDS, () => 0)), [
      'temperature',
      'top_p',
      'top_k',
      'min_p',
      'repetition_penalty',
    ]);
  });
});
