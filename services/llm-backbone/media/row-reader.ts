import type { SharedRowsReader } from '#mesh/encode/encoder-call.ts';
import { errorMessage } from '#mesh/error-message.ts';
import type { Log } from '#mesh/log/log.ts';
import { mapShared } from '#native';
import type { SharedMemory } from '#protos/autoglm/common/v1/shared_memory.ts';
import type { DeviceRows, EncoderRowsReader } from './device-rows.ts';

/** Reads rows out of the memory of one run of an encoder, as long as that goes well. */
export class RowReader implements SharedRowsReader {
  readonly secret: Buffer;
  readonly device: EncoderRowsReader | undefined;
  #isUsable = true;

  /**
   * Reads the encoder's secret; throws an `EngineError` if its memory cannot be mapped. `device` reads
   * rows in memory of its GPU.
   */
  constructor(secretMemory: SharedMemory, device?: EncoderRowsReader) {
    this.device = device;
    // A copy, so that the memory is free again.
    this.secret = Buffer.from(this.map(secretMemory));
  }

  get isUsable(): boolean {
    return this.#isUsable;
  }

  map({ processId, fileDescriptor, sizeBytes, token }: SharedMemory): Buffer {
    const place = { processId, descriptor: fileDescriptor, numBytes: Number(sizeBytes), token };
    const bytes = mapShared(place);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  giveUp(): void {
    this.#isUsable = false;
  }
}

export interface RowReaderParts {
  readonly title: string;
  readonly log: Log;
  /** Where rows of an encoder's GPU go; undefined: nowhere. */
  readonly deviceRows: DeviceRows | undefined;
}

/** Opens a reader of an encoder's rows; undefined if the encoder shares none, or not with us. */
export function openRowReader(
  secretMemory: SharedMemory | undefined,
  { title, log, deviceRows }: RowReaderParts,
): RowReader | undefined {
  if (secretMemory === undefined) return undefined;
  try {
    return new RowReader(secretMemory, deviceRows?.readerOf(title));
  } catch (error: unknown) {
    log.info(`rows of a ${title} come in messages, not in shared memory: ${errorMessage(error)}`);
    return undefined;
  }
}
