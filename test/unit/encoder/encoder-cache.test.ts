import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type EmbeddedItem, EncoderCache } from '#encoder/encoder-cache.ts';

/** Makes an item with rows of 100 float32 values. */
function item(numRows: number): EmbeddedItem {
  return {
    plan: { numRows, grid: { t: 1, h: 1, w: 1 } },
    contentHash: new Uint8Array(32),
    durationMs: 0,
    kind: 'host',
    host: { rows: new Float32Array(numRows * 100) },
  };
}

describe('EncoderCache', () => {
  it('drops the least recently used items beyond its bytes', () => {
    const cache = new EncoderCache(1000);
    cache.set('a', item(1));
    cache.set('b', item(1));
    cache.get('a');

    cache.set('c', item(1));

    assert.ok(cache.get('a') !== undefined && cache.get('c') !== undefined);
    assert.equal(cache.get('b'), undefined);
    assert.equal(cache.bytes, 800);
    assert.equal(cache.numItems, 2);
  });

  it('does not keep an item larger than itself, nor lose others for it', () => {
    const cache = new EncoderCache(1000);
    cache.set('a', item(1));

    cache.set('large', item(3));

    assert.equal(cache.get('large'), undefined);
    assert.ok(cache.get('a') !== undefined);
  });

  it('keeps nothing when it is turned off', () => {
    const cache = new EncoderCache(0);

    cache.set('a', item(1));

    assert.equal(cache.get('a'), undefined);
    assert.equal(cache.bytes, 0);
  });
});
