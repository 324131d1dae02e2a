import { MAX_CHUNK_BYTES } from '#mesh/encode/upload-limits.ts';
import { WIRE_MODALITIES } from '#mesh/modality.ts';
import type { PreprocessOptions } from '#protos/autoglm/common/v1/media.ts';
import type { GenerateRequest } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { MediaItem } from '#protos/autoglm/llm/v1/prompt.ts';
import type { LoadedMedia } from './media-loader.ts';
import type { MediaReference } from './media-reference.ts';

/** The entry of `Prompt.media` that announces an item; `options` are for images. */
export function mediaItem(media: LoadedMedia, options: PreprocessOptions): MediaItem {
  return {
    modality: WIRE_MODALITIES[media.modality],
    mediaType: media.mediaType,
    contentHash: media.contentHash,
    sizeBytes: BigInt(media.bytes.length),
    options: media.modality === 'image' ? options : undefined,
  };
}

/** An entry of `Prompt.media` where only the item's placeholder matters. */
export function placeholderItem({ modality }: Pick<MediaReference, 'modality'>): MediaItem {
  return {
    modality: WIRE_MODALITIES[modality],
    mediaType: '',
    contentHash: Buffer.alloc(0),
    sizeBytes: 0n,
    options: undefined,
  };
}

/** The messages that carry the items' bytes, after the start that announced them. */
export function* mediaChunks(items: readonly LoadedMedia[]): Generator<GenerateRequest> {
  for (const [mediaIndex, { bytes }] of items.entries()) {
    for (let start = 0; start < bytes.length; start += MAX_CHUNK_BYTES) {
      const data = bytes.subarray(start, start + MAX_CHUNK_BYTES);
      yield { event: { $case: 'mediaChunk', value: { mediaIndex, data } } };
    }
  }
}
