import type { DeviceRowsReader, OfferedRows } from '#mesh/encode/encoder-call.ts';
import { type RowLease, RowPool } from '#mesh/encode/row-pool.ts';
import { errorMessage } from '#mesh/error-message.ts';
import type { Log } from '#mesh/log/log.ts';
import type { Decoder } from '#native';
import type { DeviceMemory } from '#protos/autoglm/common/v1/device_memory.ts';

/** The row pool of a decoder's GPUs, and the GPUs whose row pools all of them can open. */
export interface DecoderRows extends Pick<Decoder, 'openRowPool' | 'closeRowPool' | 'copyRows'> {
  readonly numBytes: number;
  readonly reachableDevices: readonly string[];
}

/**
 * Brings rows from row pools of encoders to that of the decoder's GPUs. Each encoder's pool is opened
 * once and closed when that run of the encoder is gone.
 */
export class DeviceRows {
  readonly pool: RowPool;
  readonly #decoder: DecoderRows;
  readonly #log: Log;
  /** Numbers of the encoders' pools, by their tokens in hex. */
  readonly #sources = new Map<string, Promise<number>>();
  /** Reasons that the log has told. */
  readonly #told = new Set<'full' | 'failed'>();

  /** `reclaim` gives up a place that only the cache holds; see `RowPoolOptions`. */
  constructor(
    decoder: DecoderRows,
    { reclaim, log }: { readonly reclaim: () => boolean; readonly log: Log },
  ) {
    this.#decoder = decoder;
    this.#log = log;
    this.pool = new RowPool({ numBytes: decoder.numBytes, reclaim });
  }

  /** Returns what reads the rows of one run of an encoder. */
  readerOf(title: string): EncoderRowsReader {
    return new EncoderRowsReader(this, { title, log: this.#log });
  }

  get devices(): readonly string[] {
    return this.#decoder.reachableDevices;
  }

  /** Opens an encoder's pool unless it is open; rejects if that is not possible. */
  open({ handle, sizeBytes, token }: DeviceMemory): Promise<number> {
    const key = token.toString('hex');
    const opened =
      this.#sources.get(key) ?? this.#decoder.openRowPool({ handle, numBytes: Number(sizeBytes) });
    this.#sources.set(key, opened);
    opened.catch(() => this.#sources.delete(key));
    return opened;
  }

  /** Copies rows of an open pool; returns undefined if there is no room, or if that fails. */
  async copy(
    source: number,
    { offsetBytes, numBytes }: OfferedRows,
  ): Promise<RowLease | undefined> {
    const lease = this.pool.take(numBytes);
    if (lease === undefined) {
      const pool = `the GPU's ${this.pool.numBytes} ("gpu-rows-mb")`;
      this.#tellOnce('full', `rows of ${numBytes} bytes find no room in ${pool}`);
      return undefined;
    }
    try {
      const places = { sourceOffset: offsetBytes, targetOffset: lease.offset };
      await this.#decoder.copyRows({ source, ...places, numBytes });
      return lease;
    } catch (error: unknown) {
      lease.release();
      this.#tellOnce('failed', `rows cannot be copied: ${errorMessage(error)}`);
      return undefined;
    }
  }

  /** Closes the pools of all encoders but these runs of them. */
  async keep(readers: readonly EncoderRowsReader[]): Promise<void> {
    const kept = new Set(readers.map(({ token }) => token));
    const gone = [...this.#sources].filter(([token]) => !kept.has(token));
    for (const [token] of gone) this.#sources.delete(token);
    await Promise.all(
      gone.map(async ([, opened]) => this.#decoder.closeRowPool(await opened)),
    ).catch((err: unknown) =>
      this.#log.debug({ err }, 'the row pool of an encoder was not closed'),
    );
  }

  #tellOnce(reason: 'full' | 'failed', text: string): void {
    if (!this.#told.has(reason)) this.#log.warn(`${text}; such rows go through memory of the host`);
    this.#told.add(reason);
  }
}

/** Reads the rows of one run of an encoder, as long as its memory can be opened. */
export class EncoderRowsReader implements DeviceRowsReader {
  /** Token of the encoder's memory in hex; '' until it was opened. */
  token = '';
  readonly #rows: DeviceRows;
  readonly #title: string;
  readonly #log: Log;
  #isUsable = true;

  constructor(rows: DeviceRows, { title, log }: { readonly title: string; readonly log: Log }) {
    this.#rows = rows;
    this.#title = title;
    this.#log = log;
  }

  get devices(): readonly string[] {
    return this.#isUsable ? this.#rows.devices : [];
  }

  async copy(offer: OfferedRows): Promise<RowLease | undefined> {
    this.token = offer.memory.token.toString('hex');
    const source = await this.#rows.open(offer.memory).catch((error: unknown) => {
      this.#giveUp(error);
      return undefined;
    });
    return source === undefined ? undefined : this.#rows.copy(source, offer);
  }

  #giveUp(error: unknown): void {
    if (this.#isUsable) {
      this.#log.warn(
        `rows of a ${this.#title} go through memory of the host, not from GPU to GPU: ${errorMessage(error)}`,
      );
    }
    this.#isUsable = false;
  }
}
