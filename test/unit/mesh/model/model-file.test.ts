import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isWeightFile } from '#mesh/model/model-file.ts';

describe('the files of the weights', () => {
  const names = {
    'model-00001-of-00002.safetensors': true,
    'model.safetensors': true,
    'adapter_model.safetensors': false,
    'consolidated.safetensors': false,
    'model.safetensors.index.json': false,
  };
  for (const [name, isOne] of Object.entries(names)) {
    it(`${isOne ? 'count' : 'do not count'} ${name}`, () => {
      assert.equal(isWeightFile(name), isOne);
    });
  }
});
