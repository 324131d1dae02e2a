import { MEDIA_MODALITIES, type MediaModality, WIRE_MODALITIES } from '#mesh/modality.ts';
import type { EncoderReadiness } from '#protos/autoglm/mesh/v1/instance.ts';

/** The part of a backbone that tells which media it can read. */
export interface EncoderWatcher {
  readonly isReady: boolean;
  /** Undefined if the backbone does not tell. */
  readonly facts: { readonly encoders: readonly EncoderReadiness[] } | undefined;
}

/**
 * Returns the kinds of media that ready backbones have encoders for, but none that can be asked at
 * present.
 */
export function awayModalities(backbones: readonly EncoderWatcher[]): MediaModality[] {
  const known = backbones.flatMap(({ isReady, facts }) => (isReady ? (facts?.encoders ?? []) : []));
  return MEDIA_MODALITIES.filter((modality) => {
    const own = known.filter((one) => one.modality === WIRE_MODALITIES[modality]);
    return own.some((one) => one.numKnown > 0) && own.every((one) => one.numReady === 0);
  });
}
