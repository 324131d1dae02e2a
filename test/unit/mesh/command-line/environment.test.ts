import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import Type from 'typebox';
import {
  environmentValues,
  secretVariables,
  unknownVariables,
  withoutKeys,
} from '#mesh/command-line/environment.ts';

const schema = Type.Object({
  maxNumSeqs: Type.Integer({ default: 1 }),
  servedModelName: Type.Array(Type.String(), { default: [] }),
  apiKey: Type.Optional(Type.String({ secret: true })),
});

describe('the environment', () => {
  it('has a variable for each key, with a list separated by commas', () => {
    const env = { AUTOGLM_MAX_NUM_SEQS: '3', AUTOGLM_SERVED_MODEL_NAME: 'a, b' };

    const values = environmentValues(schema, env);

    assert.deepEqual(values, { maxNumSeqs: '3', servedModelName: ['a', 'b'] });
  });

  it('has another for the key in a section', () => {
    const env = { AUTOGLM_LLM_BACKBONE__MAX_NUM_SEQS: '3', AUTOGLM_MAX_NUM_SEQS: '4' };

    assert.deepEqual(environmentValues(schema, env, 'llm-backbone'), { maxNumSeqs: '3' });
  });

  it('does not count what is empty', () => {
    assert.deepEqual(environmentValues(schema, { AUTOGLM_MAX_NUM_SEQS: '' }), {});
  });

  it('passes secrets on, and nothing else', () => {
    const variables = secretVariables(schema, { maxNumSeqs: 1, apiKey: 'k' });

    assert.deepEqual(variables, { AUTOGLM_API_KEY: 'k' });
  });

  it('keeps keys from a process that is told its values, and nothing else', () => {
    const others = {
      AUTOGLM_ISA: 'avx2',
      AUTOGLM_CUDA_LIBRARY: 'x.so',
      PATH: '/',
      OTEL_SDK_DISABLED: '1',
    };

    const kept = withoutKeys({ ...others, AUTOGLM_API_KEY: 'k', AUTOGLM_GATEWAY__API_KEY: 'k' });

    assert.deepEqual(kept, others);
  });

  it('is searched for keys that were mistyped', () => {
    const env = { AUTOGLM_PROT: '1', AUTOGLM_ISA: 'avx2', AUTOGLM_PORT: '2', PATH: '/' };

    const warnings = unknownVariables(env, ['AUTOGLM_PORT', 'AUTOGLM_HOST']);

    assert.deepEqual(warnings, [
      'the variable AUTOGLM_PROT has no effect; did you mean "AUTOGLM_PORT"?',
    ]);
  });
});
