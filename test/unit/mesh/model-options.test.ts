import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { activationDtypeOf } from '#mesh/model-options.ts';

describe('activationDtypeOf', () => {
  it('follows the weights, but never to float16', () => {
    assert.equal(activationDtypeOf('auto', 'bfloat16'), 'bfloat16');
    assert.equal(activationDtypeOf('auto', 'float16'), 'float32');
    assert.equal(activationDtypeOf('auto', ''), 'float32');
    assert.equal(activationDtypeOf('bfloat16', 'float32'), 'bfloat16');
    assert.equal(activationDtypeOf('half', 'bfloat16'), 'float32');
    assert.equal(activationDtypeOf('float32', 'bfloat16'), 'float32');
  });
});
