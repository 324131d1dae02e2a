import { MeshError } from '#mesh/errors.ts';
import type { ImageOptions } from '#native';
import { MaxPixelsMode, type PreprocessOptions } from '#protos/autoglm/common/v1/media.ts';

const IGNORED: ImageOptions = { maxPixels: null, maxPixelsMode: 'ignore' };

/** Reads how an image is to be preprocessed; options that mean the same come out equal. */
export function imageOptions(options: PreprocessOptions | undefined): ImageOptions {
  const maxPixels = options?.maxPixels;
  if (maxPixels === undefined) return IGNORED;
  if (maxPixels < 1n || maxPixels > BigInt(Number.MAX_SAFE_INTEGER)) {
    const message = `max_pixels must be between 1 and ${Number.MAX_SAFE_INTEGER}, got ${maxPixels}`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'options.max_pixels' });
  }
  switch (options?.maxPixelsMode) {
    case MaxPixelsMode.MAX_PIXELS_MODE_VOLUME:
      return { maxPixels: Number(maxPixels), maxPixelsMode: 'volume' };
    case MaxPixelsMode.MAX_PIXELS_MODE_AREA:
      return { maxPixels: Number(maxPixels), maxPixelsMode: 'area' };
    case undefined:
    case MaxPixelsMode.MAX_PIXELS_MODE_UNSPECIFIED:
    case MaxPixelsMode.MAX_PIXELS_MODE_IGNORE:
      return IGNORED;
    // A value that a later version added arrives as a plain number.
    default:
      throw new MeshError('INVALID_REQUEST', 'max_pixels_mode is not one this encoder knows', {
        param: 'options.max_pixels_mode',
      });
  }
}
