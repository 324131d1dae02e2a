import type { DecodedItem, EncoderItem, ItemFacts, MediaEncoder } from '#native';

/**
 * Returns an item with the grid that its tower plans for it, within the checkpoint's own bounds.
 */
export function plannedItem(encoder: MediaEncoder, decoded: DecodedItem): EncoderItem {
  return { ...decoded, grid: encoder.plan(factsOf(decoded)).grid };
}

function factsOf(decoded: DecodedItem): ItemFacts {
  if (decoded.kind === 'image') {
    const { kind, width, height } = decoded;
    return {
      kind,
      width,
      height,
      options: { maxPixels: null, minPixels: null, maxPixelsMode: 'ignore' },
    };
  }
  const { kind, samples, sampleRateHz } = decoded;
  return { kind, numSamples: samples.length, sampleRateHz };
}
