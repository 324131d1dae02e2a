import sharp, { type Metadata, type Sharp } from 'sharp';
import { MeshError } from '#mesh/errors.ts';

export interface ImageLimits {
  /** Most pixels of a file, width × height, before anything is decoded. */
  readonly maxImagePixels: number;
}

export interface ImageSize {
  readonly width: number;
  readonly height: number;
  /** What the file holds: 8-bit light or what becomes it, ink, or 16-bit gray. */
  readonly pixels: 'rgb' | 'cmyk' | 'gray16';
}

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
// A decoder process has one image, and a core's time is what it may take.
sharp.concurrency(1);

/** Reads width and height as displayed from the file's header; refuses what is too large. */
export async function readImageSize(bytes: Buffer, limits: ImageLimits): Promise<ImageSize> {
  const metadata = await readable(sharp(bytes, { limitInputPixels: false }).metadata());
  const { width, height } = metadata;
  if (width * height > limits.maxImagePixels) {
    throw new MeshError(
      'PAYLOAD_TOO_LARGE',
      `the image has ${width}×${height} = ${width * height} pixels, at most ${limits.maxImagePixels} are allowed`,
    );
  }
  const { autoOrient } = metadata;
  const pixels = pixelsOf(metadata, bytes);
  return { width: autoOrient.width, height: autoOrient.height, pixels };
}

/** Where IHDR, the first chunk of a PNG file, has its colour type, and the type without alpha or colours. */
const PNG_COLOUR_TYPE_OFFSET = 25;
const PNG_GRAY = 0;

function pixelsOf({ space }: Metadata, bytes: Buffer): ImageSize['pixels'] {
  if (space === 'cmyk') return 'cmyk';
  // A gray that is transparent (tRNS) makes two channels, too, as alpha does.
  return space === 'grey16' && bytes[PNG_COLOUR_TYPE_OFFSET] === PNG_GRAY ? 'gray16' : 'rgb';
}

/**
 * Decodes to `[height, width, 3]`, 8-bit RGB, as servers that read with Pillow see a file: the first
 * frame, turned as its EXIF orientation says (as transformers' `load_image` does), alpha dropped and
 * not composited (`convert("RGB")`), colour profiles ignored, 16-bit colours cut to 8, 16-bit gray
 * clipped.
 */
export async function loadPixels(bytes: Buffer, size: ImageSize): Promise<Uint8Array> {
  const options = {
    failOn: 'error',
    ignoreIcc: true,
    limitInputPixels: size.width * size.height,
  } as const;
  const image = sharp(bytes, options).autoOrient();
  switch (size.pixels) {
    case 'rgb':
      return rawPixels(image.toColourspace('srgb').removeAlpha().raw({ depth: 'uchar' }), size, 3);
    case 'cmyk': {
      const inks = image.pipelineColourspace('cmyk').toColourspace('cmyk');
      return rgbOfCmyk(await rawPixels(inks.raw({ depth: 'uchar' }), size, 4));
    }
    case 'gray16': {
      const gray = image.removeAlpha().pipelineColourspace('grey16').toColourspace('grey16');
      return rgbOfGray16(await rawPixels(gray.raw({ depth: 'ushort' }), size, 1));
    }
  }
}

/** Decodes; returns `[height, width, num_channels]` if that is the shape which the header said. */
async function rawPixels(image: Sharp, size: ImageSize, numChannels: number): Promise<Buffer> {
  const { data, info } = await readable(image.toBuffer({ resolveWithObject: true }));
  const isAsSaid = info.width === size.width && info.height === size.height;
  if (!isAsSaid || info.channels !== numChannels) {
    const message = `the image cannot be decoded: it is not ${size.width}×${size.height} as its header says`;
    throw new MeshError('UNSUPPORTED_MEDIA', message);
  }
  return data;
}

/** Clips 16-bit little-endian gray, `[num_pixels]`, to `[num_pixels, 3]`, as Pillow does. */
function rgbOfGray16(gray: Buffer): Uint8Array {
  const rgb = new Uint8Array((gray.length / 2) * 3);
  for (let from = 0, to = 0; from < gray.length; from += 2, to += 3) {
    rgb.fill(Math.min(255, gray.readUInt16LE(from)), to, to + 3);
  }
  return rgb;
}

/** Converts ink, `[num_pixels, 4]`, to light, `[num_pixels, 3]`, as Pillow does without a profile. */
function rgbOfCmyk(cmyk: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  for (let from = 0, to = 0; from < cmyk.length; from += 4) {
    const light = 255 - (cmyk[from + 3] ?? 0);
    for (let ink = 0; ink < 3; ink++) {
      // Divides the product by 255, rounded.
      const product = (cmyk[from + ink] ?? 0) * light + 128;
      rgb[to] = light - (((product >> 8) + product) >> 8);
      to += 1;
    }
  }
  return rgb;
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
