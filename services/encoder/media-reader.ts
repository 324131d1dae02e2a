import type { DecodedItem, ItemFacts } from '#native';
import type { PreprocessOptions } from '#protos/autoglm/common/v1/media.ts';

/** Reads the file formats of one modality. */
export interface MediaFormat {
  /** Starts an item; refuses a media type that can be told wrong before any byte has come. */
  begin(header: ItemHeader): ItemReader;
}

export interface ItemHeader {
  /** IANA media type as the caller knows it; empty: told by magic number. */
  readonly mediaType: string;
  readonly options: PreprocessOptions | undefined;
}

/** Reads one item as its bytes arrive. */
export interface ItemReader {
  /**
   * What besides the content decides the rows: preprocessing options, the rate of raw PCM. Part of
   * the cache key.
   */
  readonly variant: string;
  /** Takes the next bytes and keeps them; refuses what is told wrong already. */
  push(chunk: Uint8Array): void;
  /** After the last byte: as much reading as the number of rows needs. */
  open(signal: AbortSignal): Promise<OpenedItem>;
}

/** An item of a known shape. */
export interface OpenedItem {
  readonly facts: ItemFacts;
  /** Length of a recording; 0 for an image. */
  readonly durationMs: number;
  /** Decodes what the tower needs. */
  load(signal: AbortSignal): Promise<DecodedItem>;
}
