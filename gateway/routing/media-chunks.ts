import { MAX_CHUNK_BYTES } from '#mesh/encode/upload-limits.ts';
import type { GenerateRequest } from '#protos/autoglm/llm/v1/llm_backbone.ts';

/**
 * Yields the messages that carry the bytes of the media, in the order in which the start announced
 * them.
 */
export function* mediaChunks(media: readonly Buffer[]): Generator<GenerateRequest> {
  for (const [mediaIndex, bytes] of media.entries()) {
    for (let start = 0; start < bytes.length; start += MAX_CHUNK_BYTES) {
      const data = bytes.subarray(start, start + MAX_CHUNK_BYTES);
      yield { event: { $case: 'mediaChunk', value: { mediaIndex, data } } };
    }
  }
}
