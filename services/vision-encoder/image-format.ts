import type { ItemHeader, ItemReader, MediaFormat, OpenedItem } from '#encoder/media-reader.ts';
import {
  type ImagePreprocessing,
  imagePreprocessing,
  preprocessingKey,
} from '#mesh/encode/preprocess-options.ts';
import { MeshError } from '#mesh/errors.ts';
import { ItemBytes } from '#mesh/item-bytes.ts';
import { refuseManyFrames } from './animation.ts';
import { type ImageLimits, loadPixels, readImageSize } from './image-decode.ts';
import { refuseManyChunks } from './png-chunks.ts';

/** Bytes of the longest magic number: "RIFF", a length, "WEBP". */
const MAGIC_BYTES = 12;

/** The formats a browser or a phone sends; each is recognised by its first bytes, never by its name. */
function formatOf(head: Buffer): 'png' | 'jpeg' | 'gif' | 'webp' | undefined {
  const ascii = head.toString('latin1', 0, MAGIC_BYTES);
  if (ascii.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  if (ascii.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (ascii.startsWith('GIF87a') || ascii.startsWith('GIF89a')) return 'gif';
  return ascii.startsWith('RIFF') && ascii.startsWith('WEBP', 8) ? 'webp' : undefined;
}

/** Reads PNG, JPEG, WebP and GIF. */
export function createImageFormat(limits: ImageLimits): MediaFormat {
  return {
    begin: ({ options }: ItemHeader) => new ImageReader(imagePreprocessing(options), limits),
  };
}

class ImageReader implements ItemReader {
  readonly variant: string;
  readonly #options: ImagePreprocessing;
  readonly #limits: ImageLimits;
  readonly #bytes = new ItemBytes();

  constructor(options: ImagePreprocessing, limits: ImageLimits) {
    this.variant = preprocessingKey(options);
    this.#options = options;
    this.#limits = limits;
  }

  push(chunk: Uint8Array): void {
    this.#bytes.push(chunk);
  }

  async open(signal: AbortSignal): Promise<OpenedItem> {
    signal.throwIfAborted();
    const bytes = this.#bytes.take();
    const format = formatOf(bytes);
    if (format === undefined) {
      throw new MeshError('UNSUPPORTED_MEDIA', 'the item is not a PNG, JPEG, WebP or GIF image');
    }
    if (format === 'webp' || format === 'gif') refuseManyFrames(bytes, format);
    if (format === 'png') refuseManyChunks(bytes);
    const size = await readImageSize(bytes, this.#limits);
    return {
      facts: { kind: 'image', ...size, options: this.#options },
      durationMs: 0,
      load: async (loadSignal) => {
        loadSignal.throwIfAborted();
        return { kind: 'image', ...size, rgb: await loadPixels(bytes, size) };
      },
    };
  }
}
