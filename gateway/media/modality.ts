import { Modality as WireModality } from '#protos/autoglm/common/v1/media.ts';

/** Kind of a media item, and so of the encoder that reads it. */
export type Modality = 'image' | 'audio';

/** The same on the wire. */
export const WIRE_MODALITIES: Readonly<Record<Modality, WireModality>> = {
  image: WireModality.MODALITY_IMAGE,
  audio: WireModality.MODALITY_AUDIO,
};

/** What a model takes besides text, by its own report. */
export function modalitiesOf(model: { readonly modalities: readonly WireModality[] }): Modality[] {
  const all = ['image', 'audio'] as const;
  return all.filter((modality) => model.modalities.includes(WIRE_MODALITIES[modality]));
}
