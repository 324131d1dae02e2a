import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { MaxPixelsMode } from '#protos/autoglm/common/v1/media.ts';
import { settled, until } from '#test/unit/encoder/doubles.ts';
import { HeldContent, pngOf, startVision } from './harness.ts';

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

describe('an item an encoder knows', () => {
  it('comes from the cache without waiting for its bytes', async (test) => {
    const { encode, tower } = await startVision(test);
    const content = await pngOf(5);
    await encode({ header: {}, content });
    const held = new HeldContent();

    const answer = await encode({ header: { contentHash: sha256(content) }, content: held });

    assert.equal(answer.cacheHit, true);
    assert.deepEqual(answer.values, [5]);
    assert.deepEqual(tower.trace, ['encode 1']);
    held.end();
  });

  it('is found in the cache without a declared hash once its bytes are there', async (test) => {
    const { encode, tower } = await startVision(test);
    const content = await pngOf(5);
    await encode({ header: {}, content });

    const answer = await encode({ header: {}, content });

    assert.equal(answer.cacheHit, true);
    assert.deepEqual(tower.trace, ['encode 1']);
  });

  it('is another item when it is preprocessed in another way', async (test) => {
    const { encode, tower } = await startVision(test);
    const content = await pngOf(5);
    const volume = {
      options: { maxPixels: 99n, maxPixelsMode: MaxPixelsMode.MAX_PIXELS_MODE_VOLUME },
    };
    await encode({ header: {}, content });

    const answer = await encode({ header: volume, content });

    assert.equal(answer.cacheHit, false);
    assert.deepEqual(tower.trace, ['encode 1', 'encode 1']);
  });

  it('is another item to callers of another salt', async (test) => {
    const { encode, tower } = await startVision(test);
    const content = await pngOf(5);
    const hits = [];
    for (const cacheSalt of ['', 'a', 'b', 'a', '']) {
      const header = { contentHash: sha256(content), cacheSalt };
      hits.push((await encode({ header, content })).cacheHit);
    }

    assert.deepEqual(hits, [false, false, false, true, true]);
    assert.equal(tower.trace.length, 3);
  });

  it('is encoded once for all who ask at the same time', async (test) => {
    const { encode, tower } = await startVision(test);
    tower.isHeld = true;
    const content = await pngOf(5);
    const header = { contentHash: sha256(content) };
    const leaving = new AbortController();
    const first = encode({ header, content }, leaving.signal);
    await until(() => tower.trace.length === 1);
    const second = encode({ header, content });
    await settled();

    leaving.abort();
    await assert.rejects(first, { name: 'AbortError' });
    await settled();
    tower.release();

    assert.deepEqual((await second).values, [5]);
    assert.deepEqual(tower.trace, ['encode 1']);
  });
});
