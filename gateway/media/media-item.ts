import {
  type PreprocessOptions,
  Modality as WireModality,
} from '#protos/autoglm/common/v1/media.ts';
import type { GenerateRequest } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { MediaItem } from '#protos/autoglm/llm/v1/prompt.ts';
import type { LoadedMedia } from './media-loader.ts';
import type { Modality } from './modality.ts';

/** Largest `media_chunk` of the protocol. */
const MAX_CHUNK_BYTES = 256 * 1024;

const WIRE_MODALITIES: Readonly<Record<Modality, WireModality>> = {
  image: WireModality.MODALITY_IMAGE,
  audio: WireModality.MODALITY_AUDIO,
};

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

/** The messages that carry the items' bytes, after the start that announced them. */
export function* mediaChunks(items: readonly LoadedMedia[]): Generator<GenerateRequest> {
  for (const [mediaIndex, { bytes }] of items.entries()) {
    for (let start = 0; start < bytes.length; start += MAX_CHUNK_BYTES) {
      const data = bytes.subarray(start, start + MAX_CHUNK_BYTES);
      yield { event: { $case: 'mediaChunk', value: { mediaIndex, data } } };
    }
  }
}
