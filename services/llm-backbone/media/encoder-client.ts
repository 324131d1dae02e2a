import type { Embedding } from '#backbone/engine/row-source.ts';
import { Semaphore } from '#mesh/async/semaphore.ts';
import { ERRORS, MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import type { MediaModality } from '#mesh/modality.ts';
import {
  type EncodedItem,
  type EncodeProgress,
  EncoderEndpoint,
  type ExpectedModel,
} from './encoder-endpoint.ts';
import type { MediaItem } from './media-item.ts';
import type { EncodeResult, MediaMetrics } from './media-metrics.ts';
import { byPreference } from './rendezvous.ts';

/** When a client may try again after every encoder was away, milliseconds. */
const RETRY_AFTER_MS = 1000;

export const ENCODER_NAMES: Readonly<Record<MediaModality, string>> = {
  image: 'vision encoder',
  audio: 'speech encoder',
};

export interface EncoderClientOptions {
  readonly modality: MediaModality;
  /** At least one, `host:port`. */
  readonly addresses: readonly string[];
  readonly expected: ExpectedModel;
  /** Encode streams at once; further items wait. */
  readonly maxStreams: number;
  readonly metrics: MediaMetrics;
  readonly log: Log;
}

/**
 * Asks the encoders of one modality. The same content goes to the same ready encoder, whose cache
 * knows it; what fails before all its rows arrived goes to the next one, never twice to the same.
 */
export class EncoderClient {
  readonly #modality: MediaModality;
  readonly #metrics: MediaMetrics;
  readonly #endpoints: readonly EncoderEndpoint[];
  readonly #streams: Semaphore;

  constructor(options: EncoderClientOptions) {
    this.#modality = options.modality;
    this.#metrics = options.metrics;
    this.#streams = new Semaphore(options.maxStreams);
    this.#endpoints = [...new Set(options.addresses)].map(
      (address) => new EncoderEndpoint(address, options),
    );
  }

  get numReady(): number {
    return this.#endpoints.filter(({ isReady }) => isReady).length;
  }

  /** Rows of an item; `onPlan` is called once for every encoder that is tried. */
  encode(item: MediaItem, progress: EncodeProgress): Promise<Embedding> {
    return this.#streams.run(progress.signal, () => this.#encode(item, progress));
  }

  async close(): Promise<void> {
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.close()));
  }

  async #encode(item: MediaItem, progress: EncodeProgress): Promise<Embedding> {
    const tried = new Set<EncoderEndpoint>();
    let failure: MeshError | undefined;
    for (;;) {
      const left = this.#endpoints.filter((one) => one.isReady && !tried.has(one));
      const endpoint = byPreference(left, item.key)[0];
      if (endpoint === undefined) throw this.#unavailable(failure);
      tried.add(endpoint);
      try {
        return (await this.#attempt(endpoint, item, progress)).embedding;
      } catch (error: unknown) {
        if (progress.signal.aborted || !isWorthAnother(error)) throw error;
        failure = error;
      }
    }
  }

  async #attempt(
    endpoint: EncoderEndpoint,
    item: MediaItem,
    progress: EncodeProgress,
  ): Promise<EncodedItem> {
    let result: EncodeResult = 'failed';
    try {
      const encoded = await endpoint.encode(item, progress);
      result = encoded.cacheHit ? 'cache_hit' : 'encoded';
      this.#metrics.rowsReceived(encoded.embedding.rows.byteLength);
      return encoded;
    } catch (error: unknown) {
      if (progress.signal.aborted) result = 'cancelled';
      else if (error instanceof MeshError && !isWorthAnother(error)) result = 'refused';
      throw error;
    } finally {
      this.#metrics.encodeEnded(this.#modality, result);
    }
  }

  /** What to say when no encoder is left to ask. */
  #unavailable(failure: MeshError | undefined): MeshError {
    if (failure !== undefined && failure.reason !== 'NO_READY_ENDPOINT') return failure;
    const name = ENCODER_NAMES[this.#modality];
    const mismatches = this.#endpoints.flatMap(({ mismatch }) => mismatch ?? []);
    const why =
      mismatches.length > 0
        ? `the ${name} is not of this model: ${mismatches[0]}`
        : failure === undefined
          ? `no ${name} is ready (${this.#endpoints.length} configured); retry later`
          : `the ${name} was lost (${failure.message}) and no other is ready; retry later`;
    return new MeshError('NO_READY_ENDPOINT', why, {
      retryAfterMs: RETRY_AFTER_MS,
      cause: failure,
    });
  }
}

function isWorthAnother(error: unknown): error is MeshError {
  return error instanceof MeshError && ERRORS[error.reason].retryElsewhere;
}
