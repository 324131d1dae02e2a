import assert from 'node:assert/strict';
import sharp from 'sharp';
import { MeshError } from '#mesh/errors.ts';

export interface ImageLimits {
  /** Most pixels of a file, width × height, before anything is decoded. */
  readonly maxImagePixels: number;
}

export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

const DECODE_TIMEOUT_S = 30;

/** Fewest pixels a side: a smaller image shows nothing. */
const MIN_SIDE_PX = 4;

// Only libvips' loaders of the four formats stay enabled: each other one is more code an upload can
// reach.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: [
    'VipsForeignLoadJpeg',
    'VipsForeignLoadPng',
    'VipsForeignLoadWebp',
    'VipsForeignLoadNsgif',
  ],
});
// Embeddings are cached, so no decoded file is needed twice.
sharp.cache(false);

/** Reads width and height as displayed from the file's header; refuses what is too large or small. */
export async function readImageSize(bytes: Buffer, limits: ImageLimits): Promise<ImageSize> {
  const metadata = await readable(sharp(bytes, { limitInputPixels: false }).metadata());
  const { width, height } = metadata;
  if (width * height > limits.maxImagePixels) {
    throw new MeshError(
      'PAYLOAD_TOO_LARGE',
      `the image has ${width}×${height} = ${width * height} pixels, at most ${limits.maxImagePixels} are allowed`,
    );
  }
  if (Math.min(width, height) < MIN_SIDE_PX) {
    const message = `the image has ${width}×${height} pixels, at least ${MIN_SIDE_PX} a side are needed`;
    throw new MeshError('UNSUPPORTED_MEDIA', message);
  }
  return { width: metadata.autoOrient.width, height: metadata.autoOrient.height };
}

/**
 * Decodes to `[height, width, 3]`, 8-bit RGB, as servers that read with Pillow see a file: the first
 * frame, turned as its EXIF orientation says (as transformers' `load_image` does), alpha dropped and
 * not composited (`convert("RGB")`), colour profiles ignored, 16-bit channels cut to 8.
 */
export async function loadPixels(bytes: Buffer, size: ImageSize): Promise<Uint8Array> {
  const options = {
    failOn: 'error',
    ignoreIcc: true,
    limitInputPixels: size.width * size.height,
  } as const;
  const { data, info } = await readable(
    sharp(bytes, options)
      .timeout({ seconds: DECODE_TIMEOUT_S })
      .autoOrient()
      .toColourspace('srgb')
      .removeAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true }),
  );
  assert(info.width === size.width && info.height === size.height, 'decoded as its header says');
  assert(info.channels === 3, 'decoded to RGB');
  return data;
}

/** Reports a failure of the decoder as a fault of the file. */
async function readable<T>(decoding: Promise<T>): Promise<T> {
  try {
    return await decoding;
  } catch (cause: unknown) {
    const why = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new MeshError('UNSUPPORTED_MEDIA', `the image cannot be decoded: ${why}`, { cause });
  }
}
