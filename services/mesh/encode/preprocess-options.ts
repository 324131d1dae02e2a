import { MeshError } from '#mesh/errors.ts';
import { MaxPixelsMode, type PreprocessOptions } from '#protos/autoglm/common/v1/media.ts';

/** How `max_pixels` is read; see `MaxPixelsMode` in the protocol. */
export type MaxPixelsReading = 'ignore' | 'volume' | 'area';

/** The reading of `max_pixels` as a value of the protocol. */
export const WIRE_MAX_PIXELS_MODES: Readonly<Record<MaxPixelsReading, MaxPixelsMode>> = {
  ignore: MaxPixelsMode.MAX_PIXELS_MODE_IGNORE,
  volume: MaxPixelsMode.MAX_PIXELS_MODE_VOLUME,
  area: MaxPixelsMode.MAX_PIXELS_MODE_AREA,
};

/** How an image is preprocessed; `maxPixels` is null if and only if the mode is `ignore`. */
export interface ImagePreprocessing {
  readonly maxPixels: number | null;
  readonly maxPixelsMode: MaxPixelsReading;
}

export const DEFAULT_IMAGE_PREPROCESSING: ImagePreprocessing = {
  maxPixels: null,
  maxPixelsMode: 'ignore',
};

/**
 * Reads how an image is to be preprocessed; options with the same meaning come out equal. A refusal
 * names `param`, or the field of the header at fault.
 */
export function imagePreprocessing(
  options: PreprocessOptions | undefined,
  param?: string,
): ImagePreprocessing {
  const maxPixels = options?.maxPixels;
  if (maxPixels === undefined) return DEFAULT_IMAGE_PREPROCESSING;
  if (maxPixels < 1n || maxPixels > BigInt(Number.MAX_SAFE_INTEGER)) {
    const message = `max_pixels must be between 1 and ${Number.MAX_SAFE_INTEGER}, got ${maxPixels}`;
    throw new MeshError('INVALID_REQUEST', message, { param: param ?? 'options.max_pixels' });
  }
  switch (options?.maxPixelsMode) {
    case MaxPixelsMode.MAX_PIXELS_MODE_VOLUME:
      return { maxPixels: Number(maxPixels), maxPixelsMode: 'volume' };
    case MaxPixelsMode.MAX_PIXELS_MODE_AREA:
      return { maxPixels: Number(maxPixels), maxPixelsMode: 'area' };
    case undefined:
    case MaxPixelsMode.MAX_PIXELS_MODE_UNSPECIFIED:
    case MaxPixelsMode.MAX_PIXELS_MODE_IGNORE:
      return DEFAULT_IMAGE_PREPROCESSING;
    // A value of a later protocol version arrives as its number.
    default:
      throw new MeshError('INVALID_REQUEST', 'max_pixels_mode is not one this mesh knows', {
        param: param ?? 'options.max_pixels_mode',
      });
  }
}

/** Returns the part of a cache key for the preprocessing; equal preprocessing has an equal key. */
export function preprocessingKey({ maxPixels, maxPixelsMode }: ImagePreprocessing): string {
  return maxPixels === null ? '' : `${maxPixelsMode} ${maxPixels}`;
}
