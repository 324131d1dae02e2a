import type { MediaReference } from '#gateway/openai/request/media-reference.ts';
import { WIRE_MODALITIES } from '#mesh/modality.ts';
import type { PreprocessOptions } from '#protos/autoglm/common/v1/media.ts';
import type { MediaItem } from '#protos/autoglm/llm/v1/prompt.ts';
import type { LoadedMedia } from './media-loader.ts';

/** Returns the entry of `Prompt.media` that announces an item; `options` are for images. */
export function mediaItem(media: LoadedMedia, options: PreprocessOptions): MediaItem {
  return {
    modality: WIRE_MODALITIES[media.modality],
    mediaType: media.mediaType,
    contentHash: media.contentHash,
    sizeBytes: BigInt(media.bytes.length),
    options: media.modality === 'image' ? options : undefined,
  };
}

/** Returns an entry of `Prompt.media` for an item of which only the placeholder matters. */
export function placeholderItem({ modality }: Pick<MediaReference, 'modality'>): MediaItem {
  return {
    modality: WIRE_MODALITIES[modality],
    mediaType: '',
    contentHash: Buffer.alloc(0),
    sizeBytes: 0n,
    options: undefined,
  };
}
