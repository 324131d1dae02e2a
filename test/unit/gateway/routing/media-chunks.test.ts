import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mediaChunks } from '#gateway/routing/media-chunks.ts';

function media(numBytes: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: numBytes }, (_, i) => i % 251));
}

describe('mediaChunks', () => {
  for (const sizes of [[1], [262_144], [262_145], [600_000, 3, 262_144]]) {
    it(`carries items of ${sizes.join(', ')} bytes in chunks of at most 256 KiB`, () => {
      const items = sizes.map(media);
      const received = items.map((): Buffer[] => []);

      for (const { event } of mediaChunks(items)) {
        if (event?.$case !== 'mediaChunk') assert.fail('not a media chunk');
        assert.ok(event.value.data.length <= 262_144);
        received[event.value.mediaIndex]?.push(event.value.data);
      }

      assert.deepEqual(
        received.map((chunks) => Buffer.concat(chunks)),
        items,
      );
    });
  }
});
