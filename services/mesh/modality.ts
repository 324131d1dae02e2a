import { Modality } from '#protos/autoglm/common/v1/media.ts';

/** Kind of a media item, and of the encoder that reads it. */
export type MediaModality = 'image' | 'audio';

/** Every kind, in the order in which prose and metrics name them. */
export const MEDIA_MODALITIES: readonly MediaModality[] = ['image', 'audio'];

/** The encoder of each kind, as log lines and messages call it. */
export const ENCODER_NAMES: Readonly<Record<MediaModality, string>> = {
  image: 'vision encoder',
  audio: 'speech encoder',
};

/** The role of each kind's encoders. */
export const ENCODER_ROLES = {
  image: 'vision-encoder',
  audio: 'speech-encoder',
} as const satisfies Record<MediaModality, string>;

/** The same on the wire. */
export const WIRE_MODALITIES: Readonly<Record<MediaModality, Modality>> = {
  image: Modality.MODALITY_IMAGE,
  audio: Modality.MODALITY_AUDIO,
};

/** Returns the kind of a protocol value; undefined if it names none of them. */
export function modalityOf(wire: Modality): MediaModality | undefined {
  return MEDIA_MODALITIES.find((modality) => WIRE_MODALITIES[modality] === wire);
}

/** Returns the kinds of media that a model takes, by its own description. */
export function modalitiesOf(model: { readonly modalities: readonly Modality[] }): MediaModality[] {
  return MEDIA_MODALITIES.filter((modality) =>
    model.modalities.includes(WIRE_MODALITIES[modality]),
  );
}
