import { Modality } from '#protos/autoglm/common/v1/media.ts';

/** Kind of a media item, and so of the encoder that reads it. */
export type MediaModality = 'image' | 'audio';

/** Every kind, in the order in which prose and metrics name them. */
export const MEDIA_MODALITIES: readonly MediaModality[] = ['image', 'audio'];

/** The encoder of each kind, as log lines and messages call it. */
export const ENCODER_NAMES: Readonly<Record<MediaModality, string>> = {
  image: 'vision encoder',
  audio: 'speech encoder',
};

/** The same on the wire. */
export const WIRE_MODALITIES: Readonly<Record<MediaModality, Modality>> = {
  image: Modality.MODALITY_IMAGE,
  audio: Modality.MODALITY_AUDIO,
};

/** The kind a wire value stands for; undefined if it stands for none of them. */
export function modalityOf(wire: Modality): MediaModality | undefined {
  return MEDIA_MODALITIES.find((modality) => WIRE_MODALITIES[modality] === wire);
}

/** What a model takes besides text, by its own report. */
export function modalitiesOf(model: { readonly modalities: readonly Modality[] }): MediaModality[] {
  return MEDIA_MODALITIES.filter((modality) =>
    model.modalities.includes(WIRE_MODALITIES[modality]),
  );
}
