import type { CallContext } from 'nice-grpc-common';
import { abortable } from '#mesh/async/abortable.ts';
import { type Seat, SingleFlight } from '#mesh/async/single-flight.ts';
import { excerpt } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { logFailure } from '#mesh/log/log-failure.ts';
import { Modality } from '#protos/autoglm/common/v1/media.ts';
import { DType } from '#protos/autoglm/common/v1/tensor.ts';
import type {
  EncodeHeader,
  EncodeRequest,
  EncodeResponse,
  GetModelResponse,
} from '#protos/autoglm/encoder/v1/encoder.ts';
import type { Admission } from './admission.ts';
import type { EmbeddedItem, EncoderCache } from './encoder-cache.ts';
import type { EncoderMetrics, ItemResult } from './encoder-metrics.ts';
import { rowsMessages } from './encoder-rows.ts';
import {
  type EncodingStages,
  type ItemEncoding,
  type ItemTimings,
  type PlannedItem,
  startEncoding,
} from './item-encoding.ts';
import { checkHeader, readHeader, receiveItem } from './item-upload.ts';
import type { ItemReader, MediaFormat } from './media-reader.ts';

/** The model of an encoder process, as the process describes it. */
export interface EncoderModel {
  readonly modality: 'image' | 'audio';
  readonly modelId: string;
  readonly fingerprint: string;
  /** Width of an embedding row. */
  readonly hiddenSize: number;
  readonly device: string;
}

export interface EncoderServiceOptions {
  readonly model: EncoderModel;
  readonly format: MediaFormat;
  readonly stages: EncodingStages;
  readonly cache: EncoderCache;
  readonly admission: Admission;
  readonly metrics: EncoderMetrics;
  readonly log: Log;
  readonly maxItemBytes: number;
}

const NO_TIMINGS: ItemTimings = { queueUs: 0, decodeUs: 0, preprocessUs: 0, encodeUs: 0 };

/** Answers `EncoderService` for one tower. */
export class EncoderService {
  readonly #options: EncoderServiceOptions;
  readonly #flights = new SingleFlight<ItemEncoding>();

  constructor(options: EncoderServiceOptions) {
    this.#options = options;
  }

  async getModel(): Promise<GetModelResponse> {
    const { model, stages, maxItemBytes } = this.#options;
    return {
      modality: model.modality === 'image' ? Modality.MODALITY_IMAGE : Modality.MODALITY_AUDIO,
      modelId: model.modelId,
      fingerprint: model.fingerprint,
      hiddenSize: model.hiddenSize,
      dtype: DType.D_TYPE_FLOAT32,
      maxItemBytes: BigInt(maxItemBytes),
      maxRows: stages.resident.loaded?.description.maxRows ?? 0,
      device: model.device,
    };
  }

  async *encode(
    requests: AsyncIterable<EncodeRequest>,
    { signal }: Pick<CallContext, 'signal'>,
  ): AsyncGenerator<EncodeResponse> {
    const { admission, metrics, log } = this.#options;
    const call: CallCourse = { requestId: '', result: 'cancelled' };
    let source: ItemResult = 'encoded';
    try {
      const answer = () => this.#answer(requests, call, signal);
      for await (const response of admission.calls.around(answer)) {
        if (response.event?.$case === 'plan' && response.event.value.cacheHit) source = 'cache_hit';
        if (response.event?.$case === 'done') call.result = source;
        yield response;
      }
    } catch (error: unknown) {
      call.result = resultOf(error, signal);
      const { requestId } = call;
      if (call.result !== 'cancelled') logFailure(log, { what: 'item', requestId }, error);
      throw error;
    } finally {
      metrics.items.add(1, { result: call.result });
    }
  }

  async *#answer(
    requests: AsyncIterable<EncodeRequest>,
    call: CallCourse,
    signal: AbortSignal,
  ): AsyncGenerator<EncodeResponse> {
    const { admission, format, model, maxItemBytes, metrics } = this.#options;
    const upload = requests[Symbol.asyncIterator]();
    const header = await readHeader(upload);
    call.requestId = excerpt(header.requestId);
    checkHeader(header, { ...model, maxItemBytes });
    const reader = format.begin(header);
    metrics.cacheQueries.add(1);
    const isKnown = header.contentHash.length > 0;
    const early = isKnown ? this.#knownItem(keyOf(header.contentHash, reader)) : undefined;
    if (early !== undefined) return yield* this.#send(early, signal);
    yield* admission.items.around(() => this.#receiveAndSend({ upload, header, reader }, signal));
  }

  async *#receiveAndSend(item: IncomingItem, signal: AbortSignal): AsyncGenerator<EncodeResponse> {
    const { maxItemBytes } = this.#options;
    const contentHash = await receiveItem(item.upload, item, { maxItemBytes, signal });
    const key = keyOf(contentHash, item.reader);
    yield* this.#send(
      this.#knownItem(key) ?? this.#startItem(key, contentHash, item.reader),
      signal,
    );
  }

  /** Returns the item if its rows are in the cache, or its encoding if that is under way. */
  #knownItem(key: string): EmbeddedItem | Seat<ItemEncoding> | undefined {
    return this.#options.cache.get(key) ?? this.#flights.join(key);
  }

  #startItem(key: string, contentHash: Uint8Array, reader: ItemReader): Seat<ItemEncoding> {
    const { stages } = this.#options;
    return this.#flights.joinOrStart(key, (signal) => {
      const encoding = startEncoding({ reader, contentHash }, stages, signal);
      encoding.finished.then(
        ({ item, timings }) => this.#keep(key, item, timings),
        () => {},
      );
      return encoding;
    });
  }

  #keep(key: string, item: EmbeddedItem, timings: ItemTimings): void {
    const { cache, metrics } = this.#options;
    cache.set(key, item);
    metrics.seconds.observe(timings.queueUs / 1e6, { stage: 'queue' });
    metrics.seconds.observe(timings.decodeUs / 1e6, { stage: 'decode' });
    metrics.seconds.observe(timings.preprocessUs / 1e6, { stage: 'preprocess' });
    metrics.seconds.observe(timings.encodeUs / 1e6, { stage: 'encode' });
  }

  async *#send(
    source: EmbeddedItem | Seat<ItemEncoding>,
    signal: AbortSignal,
  ): AsyncGenerator<EncodeResponse> {
    if (!('work' in source)) {
      this.#options.metrics.cacheHits.add(1);
      yield planMessage(source, { cacheHit: true });
      yield* this.#sendRows(source, NO_TIMINGS);
      return;
    }
    try {
      yield planMessage(await abortable(source.work.planned, signal), { cacheHit: false });
      const { item, timings } = await abortable(source.work.finished, signal);
      yield* this.#sendRows(item, timings);
    } finally {
      source.leave();
    }
  }

  *#sendRows(item: EmbeddedItem, timings: ItemTimings): Generator<EncodeResponse> {
    const { metrics, model } = this.#options;
    yield* rowsMessages(item.rows, model);
    metrics.rows.add(item.plan.numRows);
    metrics.rowBytes.add(item.rows.byteLength);
    yield {
      event: {
        $case: 'done',
        value: {
          queueUs: BigInt(timings.queueUs),
          decodeUs: BigInt(timings.decodeUs),
          preprocessUs: BigInt(timings.preprocessUs),
          encodeUs: BigInt(timings.encodeUs),
        },
      },
    };
  }
}

/** The facts about a call that are known when it ends. */
interface CallCourse {
  /** Name of the request, for logs; "" until the header is read, or if its caller gave none. */
  requestId: string;
  /** Remains 'cancelled' if the caller leaves before the end. */
  result: ItemResult;
}

interface IncomingItem {
  readonly upload: AsyncIterator<EncodeRequest>;
  readonly header: EncodeHeader;
  readonly reader: ItemReader;
}

function keyOf(contentHash: Uint8Array, reader: ItemReader): string {
  return `${Buffer.from(contentHash).toString('hex')} ${reader.variant}`;
}

function planMessage(item: PlannedItem, options: { readonly cacheHit: boolean }): EncodeResponse {
  return {
    event: {
      $case: 'plan',
      value: {
        numRows: item.plan.numRows,
        grid: { ...item.plan.grid },
        cacheHit: options.cacheHit,
        contentHash: Buffer.from(item.contentHash),
        durationMs: item.durationMs,
      },
    },
  };
}

function resultOf(error: unknown, signal: AbortSignal): ItemResult {
  if (signal.aborted) return 'cancelled';
  return error instanceof MeshError && error.reason !== 'ENGINE_FAILED' ? 'refused' : 'failed';
}
