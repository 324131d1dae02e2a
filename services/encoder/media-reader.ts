import type { DecodedItem, ItemFacts } from '#native';
import type { PreprocessOptions } from '#protos/autoglm/common/v1/media.ts';

/** Reads the items of one modality as they arrive. */
export interface MediaFormat {
  /** Starts an item; refuses a media type that is known to be wrong before any byte has come. */
  begin(header: ItemHeader): ItemReader;
}

export interface ItemHeader {
  /** IANA media type that the caller declared; if empty, the magic number decides. */
  readonly mediaType: string;
  readonly options: PreprocessOptions | undefined;
}

/** Reads one item as its bytes arrive. */
export interface ItemReader {
  /**
   * The facts besides the content that decide the rows: preprocessing options, or the rate of raw
   * PCM. They are part of the cache key.
   */
  readonly variant: string;
  /** Takes the next bytes and keeps them; refuses them once they are known to be wrong. */
  push(chunk: Uint8Array): void;
  /** Reads as much as the number of rows depends on; called after the last byte. */
  open(openFile: OpenFile): Promise<OpenedItem>;
}

/** An item whose shape is known. */
export interface OpenedItem {
  readonly facts: ItemFacts;
  /** Length of a recording in milliseconds; 0 for an image. */
  readonly durationMs: number;
  /** Decodes the item into the tower's input. */
  load(): Promise<DecodedItem>;
  /** Gives up what reading the item holds; called once, whether it was loaded or not. */
  close(): void;
}

/** The facts that a file tells of itself. */
export type FileFacts =
  | { readonly kind: 'image'; readonly width: number; readonly height: number }
  | { readonly kind: 'audio'; readonly numSamples: number; readonly sampleRateHz: number };

/** A media file whose shape is known. */
export interface OpenedFile {
  readonly facts: FileFacts;
  /** Length of a recording in milliseconds; 0 for an image. */
  readonly durationMs: number;
  /** Decodes to `[height, width, 3]`, 8-bit RGB, or to `[num_samples]`, float32. */
  load(): Promise<Uint8Array>;
  /** Gives up what reading the file holds; called once. */
  close(): void;
}

/** Opens a media file: its bytes are hostile until they are decoded. */
export type OpenFile = (bytes: Buffer) => Promise<OpenedFile>;
