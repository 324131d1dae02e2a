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

/** How an image is preprocessed; both bounds are null if and only if the mode is `ignore`. */
export interface ImagePreprocessing {
  readonly maxPixels: number | null;
  readonly minPixels: number | null;
  readonly maxPixelsMode: MaxPixelsReading;
}

export const DEFAULT_IMAGE_PREPROCESSING: ImagePreprocessing = {
  maxPixels: null,
  minPixels: null,
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
  const maxPixels = numPixels('max_pixels', { value: options?.maxPixels, param });
  const minPixels = numPixels('min_pixels', { value: options?.minPixels, param });
  if (maxPixels === null && minPixels === null) return DEFAULT_IMAGE_PREPROCESSING;
  switch (options?.maxPixelsMode) {
    case MaxPixelsMode.MAX_PIXELS_MODE_VOLUME:
      return { maxPixels, minPixels, maxPixelsMode: 'volume' };
    case MaxPixelsMode.MAX_PIXELS_MODE_AREA:
      return { maxPixels, minPixels, maxPixelsMode: 'area' };
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

interface PixelBound {
  readonly value: bigint | undefined;
  readonly param: string | undefined;
}

function numPixels(name: string, { value, param }: PixelBound): number | null {
  if (value === undefined) return null;
  if (value >= 1n && value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  const message = `${name} must be between 1 and ${Number.MAX_SAFE_INTEGER}, got ${value}`;
  throw new MeshError('INVALID_REQUEST', message, { param: param ?? `options.${name}` });
}

/** Returns the part of a cache key for the preprocessing; equal preprocessing has an equal key. */
export function preprocessingKey(preprocessing: ImagePreprocessing): string {
  const { maxPixels, minPixels, maxPixelsMode } = preprocessing;
  if (maxPixelsMode === 'ignore') return '';
  return `${maxPixelsMode} ${maxPixels ?? ''} ${minPixels ?? ''}`;
}
