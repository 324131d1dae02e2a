import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { outOfMemory } from '#backbone/memory-need.ts';
import { EngineError } from '#native';

describe('the refusal of a model that does not fit in memory', () => {
  it('keeps the numbers of the engine and names the keys that change them', () => {
    const refused = new EngineError('OUT_OF_MEMORY', 'weights of 18.2 GiB; 9.0 GiB are free');

    const { reason, message, param } = outOfMemory(refused);

    assert.equal(reason, 'INVALID_REQUEST');
    assert.match(message, /^weights of 18\.2 GiB; 9\.0 GiB are free; .*"kv-cache-gb".*"quantize"/);
    assert.equal(param, 'kv-cache-gb');
  });
});
