import type {
  ItemHeader,
  ItemReader,
  MediaFormat,
  OpenedItem,
  OpenFile,
} from '#encoder/media-reader.ts';
import { ItemBytes } from '#mesh/item-bytes.ts';
import { LivePcmReader, parseLivePcm } from './live-pcm.ts';
import { Recording, type RecordingLimits } from './recording.ts';
import { recordingItem } from './recording-item.ts';

/** Receives audio files, which are decoded elsewhere, and recordings that are being made. */
export function createAudioFormat(limits: RecordingLimits): MediaFormat {
  return {
    begin: (header: ItemHeader) => {
      const livePcm = parseLivePcm(header.mediaType);
      return livePcm === null
        ? new FileReader()
        : new LivePcmReader(livePcm, new Recording(limits));
    },
  };
}

class FileReader implements ItemReader {
  readonly variant = '';
  readonly #bytes = new ItemBytes();

  push(chunk: Uint8Array): void {
    this.#bytes.push(chunk);
  }

  async open(openFile: OpenFile): Promise<OpenedItem> {
    return recordingItem(await openFile(this.#bytes.take()));
  }
}
