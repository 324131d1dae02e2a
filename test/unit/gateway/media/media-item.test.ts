import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mediaChunks, mediaItem } from '#gateway/media/media-item.ts';
import type { LoadedMedia } from '#gateway/media/media-loader.ts';
import { MaxPixelsMode, Modality } from '#protos/autoglm/common/v1/media.ts';

const OPTIONS = { maxPixels: 9n, maxPixelsMode: MaxPixelsMode.MAX_PIXELS_MODE_AREA };

function media(numBytes: number): LoadedMedia {
  return {
    modality: 'image',
    mediaType: 'image/png',
    bytes: Buffer.from(Uint8Array.from({ length: numBytes }, (_, i) => i % 251)),
    contentHash: Buffer.alloc(32, 7),
    param: 'image_url.url',
  };
}

describe('mediaItem', () => {
  it('announces an image with its preprocessing', () => {
    assert.deepEqual(mediaItem(media(5), OPTIONS), {
      modality: Modality.MODALITY_IMAGE,
      mediaType: 'image/png',
      contentHash: Buffer.alloc(32, 7),
      sizeBytes: 5n,
      options: OPTIONS,
    });
  });

  it('announces a recording without image options', () => {
    const item = mediaItem({ ...media(5), modality: 'audio', mediaType: 'audio/wav' }, OPTIONS);

    assert.equal(item.modality, Modality.MODALITY_AUDIO);
    assert.equal(item.options, undefined);
  });
});

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
        items.map(({ bytes }) => bytes),
      );
    });
  }
});
