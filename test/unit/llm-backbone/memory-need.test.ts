import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { outOfMemory } from '#backbone/memory-need.ts';
import { EngineError } from '#native';

const REFUSED = new EngineError('OUT_OF_MEMORY', 'weights of 18.2 GiB; 9.0 GiB are free');

describe('the refusal of a model that does not fit in memory', () => {
  it('keeps the numbers of the engine and names the keys that change them', () => {
    const { reason, message, param } = outOfMemory(REFUSED, 'cpu');

    assert.equal(reason, 'INVALID_REQUEST');
    assert.match(message, /^weights of 18\.2 GiB; 9\.0 GiB are free; .*"kv-cache-gb".*"quantize"/);
    assert.equal(param, 'kv-cache-gb');
  });

  it('says of a GPU that a second one helps', () => {
    const { message, param } = outOfMemory(REFUSED, 'cuda');

    assert.match(message, /^weights of 18\.2 GiB; .*"max-model-len".*"quantize".*a second GPU/);
    assert.equal(param, 'gpu-memory-utilization');
  });
});
