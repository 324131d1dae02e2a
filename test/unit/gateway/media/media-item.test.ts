import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mediaItem } from '#gateway/media/media-item.ts';
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
