import type {
  ItemHeader,
  ItemReader,
  MediaFormat,
  OpenedItem,
  OpenFile,
} from '#encoder/media-reader.ts';
import {
  type ImagePreprocessing,
  imagePreprocessing,
  preprocessingKey,
} from '#mesh/encode/preprocess-options.ts';
import { MeshError } from '#mesh/errors.ts';
import { ItemBytes } from '#mesh/item-bytes.ts';

/** Receives image files and has them decoded. */
export const imageFormat: MediaFormat = {
  begin: ({ options }: ItemHeader) => new ImageReader(imagePreprocessing(options)),
};

class ImageReader implements ItemReader {
  readonly variant: string;
  readonly #options: ImagePreprocessing;
  readonly #bytes = new ItemBytes();

  constructor(options: ImagePreprocessing) {
    this.variant = preprocessingKey(options);
    this.#options = options;
  }

  push(chunk: Uint8Array): void {
    this.#bytes.push(chunk);
  }

  async open(openFile: OpenFile): Promise<OpenedItem> {
    const { facts: size, load, close } = await openFile(this.#bytes.take());
    if (size.kind !== 'image') throw new MeshError('UNSUPPORTED_MEDIA', 'the item is not an image');
    return {
      facts: { ...size, options: this.#options },
      durationMs: 0,
      load: async () => ({ ...size, rgb: await load() }),
      close,
    };
  }
}
