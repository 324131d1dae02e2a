import type { OpenedFile, OpenedItem } from '#encoder/media-reader.ts';
import { MeshError } from '#mesh/errors.ts';

/** Turns an opened file into an item of the speech tower. */
export function recordingItem({ facts, durationMs, load, close }: OpenedFile): OpenedItem {
  if (facts.kind !== 'audio') {
    throw new MeshError('UNSUPPORTED_MEDIA', 'the item is not a recording');
  }
  return {
    facts,
    durationMs,
    load: async () => ({
      kind: 'audio',
      samples: float32Of(await load()),
      sampleRateHz: facts.sampleRateHz,
    }),
    close,
  };
}

/** Views bytes as samples; they start at a multiple of four, as memory of their own does. */
function float32Of(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}
