import { hash } from 'node:crypto';
import type { CallContext } from 'nice-grpc-common';
import { abortable } from '#mesh/async/abortable.ts';
import { type Seat, SingleFlight } from '#mesh/async/single-flight.ts';
import { excerpt } from '#mesh/client-text.ts';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import { encodeStages } from '#mesh/encode/encode-stages.ts';
import type { RowTransport } from '#mesh/encode/encoder-call.ts';
import { MeshError, reasonOf } from '#mesh/errors.ts';
import { clientOf } from '#mesh/fairness/client-id.ts';
import type { Log } from '#mesh/log/log.ts';
import { logFailure } from '#mesh/log/log-failure.ts';
import { ENCODER_ROLES } from '#mesh/modality.ts';
import type { Quarantine } from '#mesh/process/quarantine.ts';
import { CallTrace } from '#mesh/trace/call-trace.ts';
import type { StageProcess } from '#mesh/trace/request-view.ts';
import { traceFields } from '#mesh/trace/trace-context.ts';
import type { Tracing } from '#mesh/trace/tracing.ts';
import type { HostRows } from '#native';
import { Modality } from '#protos/autoglm/common/v1/media.ts';
import { DType } from '#protos/autoglm/common/v1/tensor.ts';
import type {
  EncodeDone,
  EncodeHeader,
  EncodeRequest,
  EncodeResponse,
  GetModelResponse,
} from '#protos/autoglm/encoder/v1/encoder.ts';
import type { Admission } from './admission.ts';
import type { DeviceRows } from './device-rows.ts';
import type { EmbeddedItem, EncoderCache } from './encoder-cache.ts';
import type { EncoderMetrics, ItemResult } from './encoder-metrics.ts';
import { deviceRowsMessage, rowsMessages, sharedRowsMessage } from './encoder-rows.ts';
import { fromEngineError } from './engine-error.ts';
import {
  type EncodingStages,
  type ItemEncoding,
  type ItemTimings,
  type PlannedItem,
  type ReadItem,
  startEncoding,
} from './item-encoding.ts';
import { awaitAnswer, checkHeader, readHeader, receiveItem } from './item-upload.ts';
import type { ItemReader, MediaFormat } from './media-reader.ts';
import type { RowSharing } from './row-sharing.ts';

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
  /** Undefined: rows travel in messages. */
  readonly sharing?: RowSharing | undefined;
  /** Returns what offers rows in memory of the tower's GPU; undefined: nothing does. */
  readonly deviceRows?: () => DeviceRows | undefined;
  readonly admission: Admission;
  readonly metrics: EncoderMetrics;
  readonly quarantine: Quarantine;
  readonly log: Log;
  /** Takes the spans of calls; unset: nothing does. */
  readonly tracing?: Tracing | undefined;
  readonly maxItemBytes: number;
}

const NO_TIMINGS: ItemTimings = { queueUs: 0, decodeUs: 0, preprocessUs: 0, encodeUs: 0 };

/** Answers `EncoderService` for one tower. */
export class EncoderService {
  readonly #options: EncoderServiceOptions;
  readonly #flights = new SingleFlight<ItemEncoding>({ onLeft: releaseRows });

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
      sharedMemory: this.#options.sharing?.secretMemory,
    };
  }

  async *encode(
    requests: AsyncIterable<EncodeRequest>,
    { signal, peer = '', metadata }: EncodeContext,
  ): AsyncGenerator<EncodeResponse> {
    const { admission, metrics, log } = this.#options;
    const trace = new CallTrace(this.#role, metadata);
    const call: CallCourse = {
      requestId: '',
      client: peer,
      result: 'cancelled',
      trace,
      uploadMs: 0,
      rowsMs: 0,
    };
    let failure: unknown;
    let source: ItemResult = 'encoded';
    try {
      const answer = () => this.#answer(requests, call, signal);
      for await (const response of admission.calls.around(answer)) {
        if (response.event?.$case === 'plan' && response.event.value.cacheHit) source = 'cache_hit';
        if (response.event?.$case === 'done') {
          call.result = source;
          call.done = response.event.value;
        }
        yield response;
      }
    } catch (error: unknown) {
      failure = error;
      call.result = resultOf(error, signal);
      const { requestId } = call;
      const item = { what: 'item', requestId, trace: traceFields(trace.trace) } as const;
      if (call.result !== 'cancelled') logFailure(log, item, error);
      throw error;
    } finally {
      metrics.items.add(1, { result: call.result });
      this.#endCall(call, failure);
    }
  }

  get #role(): StageProcess {
    return ENCODER_ROLES[this.#options.model.modality];
  }

  /** Sends the call as a span, with the stages of its item. */
  #endCall({ trace, result, done, requestId }: CallCourse, failure: unknown): void {
    const { tracing, model } = this.#options;
    if (tracing === undefined || trace.trace?.isSampled !== true) return;
    const { stages } = trace;
    if (done !== undefined) {
      for (const one of encodeStages(done, this.#role, performance.now() - stages.startMs)) {
        const startMs = stages.startMs + Number(one.startUs) / 1000;
        stages.note({ name: one.name }, startMs, startMs + Number(one.durationUs) / 1000);
      }
    }
    const failed = failure === undefined ? undefined : reasonOf(failure);
    trace.end(tracing, {
      name: 'Encode',
      error: result === 'cancelled' ? 'CANCELLED' : failed,
      attributes: {
        'rpc.system': 'grpc',
        'rpc.service': encoderServiceDefinition.fullName,
        'rpc.method': encoderServiceDefinition.methods.encode.name,
        'gen_ai.request.model': model.modelId,
        'autoglm.request.id': requestId,
        'autoglm.cache_hit': result === 'cache_hit',
      },
    });
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
    call.client = clientOf(header.clientId, call.client);
    const reader = format.begin(header);
    metrics.cacheQueries.add(1);
    const isKnown = header.contentHash.length > 0;
    if (isKnown) this.#checkCrashes(header.contentHash);
    const early = isKnown
      ? this.#knownItem(keyOf(header.contentHash, { header, reader }))
      : undefined;
    const item = { upload, header, reader, call };
    if (early !== undefined) return yield* this.#send(early, item, signal);
    yield* admission.items.around(call.client, (place) =>
      this.#receiveAndSend({ ...item, upload: place.watched(upload) }, signal),
    );
  }

  async *#receiveAndSend(item: IncomingItem, signal: AbortSignal): AsyncGenerator<EncodeResponse> {
    const { maxItemBytes } = this.#options;
    const beganMs = performance.now();
    const contentHash = await receiveItem(item.upload, item, { maxItemBytes, signal });
    item.call.uploadMs = performance.now() - beganMs;
    this.#checkCrashes(contentHash);
    const key = keyOf(contentHash, item);
    const { reader, header, call } = item;
    const { requestId } = header;
    const pool = this.#deviceRowsFor(header)?.pool;
    const received = { reader, contentHash, client: call.client, requestId, pool };
    yield* this.#send(this.#knownItem(key) ?? this.#startItem(key, received), item, signal);
  }

  /** Refuses content that crashed processes, before it is decoded. */
  #checkCrashes(contentHash: Uint8Array): void {
    const what = this.#options.model.modality === 'image' ? 'the image' : 'the recording';
    this.#options.quarantine.check(Buffer.from(contentHash).toString('hex'), what);
  }

  /** Returns the item if its rows are in the cache, or its encoding if that is under way. */
  #knownItem(key: string): EmbeddedItem | Seat<ItemEncoding> | undefined {
    return this.#options.cache.get(key) ?? this.#flights.join(key);
  }

  #startItem(key: string, received: ReadItem): Seat<ItemEncoding> {
    const { stages } = this.#options;
    return this.#flights.joinOrStart(key, (signal) => {
      const encoding = startEncoding(received, stages, signal);
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

  /** Returns what offers rows in memory of the tower's GPU to this caller, if anything does. */
  #deviceRowsFor(header: EncodeHeader): DeviceRows | undefined {
    const { sharing, deviceRows } = this.#options;
    if (sharing?.isReachedBy(header) !== true) return undefined;
    const rows = deviceRows?.();
    return rows?.isReachedBy(header) === true ? rows : undefined;
  }

  async *#send(
    source: EmbeddedItem | Seat<ItemEncoding>,
    call: IncomingItem,
    signal: AbortSignal,
  ): AsyncGenerator<EncodeResponse> {
    if (!('work' in source)) {
      const lease = source.kind === 'pooled' ? source.lease : undefined;
      lease?.retain();
      try {
        this.#options.metrics.cacheHits.add(1);
        yield planMessage(source, { cacheHit: true });
        yield* this.#sendRows(source, call, signal);
        yield this.#doneMessage(source, NO_TIMINGS, call.call);
      } finally {
        lease?.release();
      }
      return;
    }
    try {
      yield planMessage(await abortable(source.work.planned, signal), { cacheHit: false });
      const { item, timings } = await abortable(source.work.finished, signal);
      yield* this.#sendRows(item, call, signal);
      yield this.#doneMessage(item, timings, call.call);
    } finally {
      source.leave();
    }
  }

  /** Sends rows, or lets the caller copy or map them; it holds their memory meanwhile. */
  async *#sendRows(
    item: EmbeddedItem,
    incoming: IncomingItem,
    signal: AbortSignal,
  ): AsyncGenerator<EncodeResponse> {
    const { metrics, model } = this.#options;
    const beganMs = performance.now();
    const numBytes = item.plan.numRows * model.hiddenSize * Float32Array.BYTES_PER_ELEMENT;
    const transport =
      (yield* this.#offerRows(item, incoming, signal)) ??
      (yield* this.#sendHostRows(await this.#hostRowsOf(item, signal), incoming, signal));
    incoming.call.rowsMs = performance.now() - beganMs;
    metrics.rowBytes.add(numBytes, { transport });
  }

  /** Lets the caller copy rows in the row pool, if it can; returns undefined if it does not. */
  async *#offerRows(
    item: EmbeddedItem,
    { header, upload }: IncomingItem,
    signal: AbortSignal,
  ): AsyncGenerator<EncodeResponse, RowTransport | undefined> {
    if (item.kind === 'host') return undefined;
    const offering = this.#deviceRowsFor(header);
    if (offering === undefined) return undefined;
    const shape = [item.plan.numRows, this.#options.model.hiddenSize] as const;
    yield deviceRowsMessage(offering.memory, item.lease, shape);
    return (await awaitAnswer(upload, signal)) === 'taken' ? 'device_memory' : undefined;
  }

  async *#sendHostRows(
    { rows, shared }: HostRows,
    { header, upload }: IncomingItem,
    signal: AbortSignal,
  ): AsyncGenerator<EncodeResponse, RowTransport> {
    const { model, sharing } = this.#options;
    if (sharing === undefined || shared === undefined || !sharing.isReachedBy(header)) {
      yield* rowsMessages(rows, model);
      return 'message';
    }
    const memory = sharing.memoryOf(shared, rows.byteLength);
    yield sharedRowsMessage(memory, [rows.length / model.hiddenSize, model.hiddenSize]);
    await awaitAnswer(upload, signal);
    return 'shared_memory';
  }

  /** Returns the rows in memory of the host; copies them there if they are in the row pool. */
  #hostRowsOf(item: EmbeddedItem, signal: AbortSignal): Promise<HostRows> {
    if (item.kind === 'host') return Promise.resolve(item.host);
    const place = { poolOffset: item.lease.offset, numRows: item.plan.numRows };
    return this.#options.stages.resident.use(signal, (encoder) =>
      encoder.readRows(place).catch((error: unknown) => {
        throw fromEngineError(error);
      }),
    );
  }

  #doneMessage(item: EmbeddedItem, timings: ItemTimings, call: CallCourse): EncodeResponse {
    this.#options.metrics.rows.add(item.plan.numRows);
    return {
      event: {
        $case: 'done',
        value: {
          queueUs: BigInt(timings.queueUs),
          decodeUs: BigInt(timings.decodeUs),
          preprocessUs: BigInt(timings.preprocessUs),
          encodeUs: BigInt(timings.encodeUs),
          uploadUs: BigInt(Math.round(call.uploadMs * 1000)),
          rowsUs: BigInt(Math.round(call.rowsMs * 1000)),
        },
      },
    };
  }
}

/** The facts about a call that are known when it ends. */
interface CallCourse {
  /** Name of the request, for logs; "" until the header is read, or if its caller gave none. */
  requestId: string;
  /** Who wants the item; the address of the caller until the header is read. */
  client: string;
  /** Remains 'cancelled' if the caller leaves before the end. */
  result: ItemResult;
  readonly trace: CallTrace;
  /** Milliseconds in which the item's bytes came; 0 if its rows were there before. */
  uploadMs: number;
  /** Milliseconds in which its rows were sent. */
  rowsMs: number;
  /** What the caller was told of the stages. */
  done?: EncodeDone;
}

interface IncomingItem {
  readonly upload: AsyncIterator<EncodeRequest>;
  readonly header: EncodeHeader;
  readonly reader: ItemReader;
  readonly call: CallCourse;
}

/** What a call brings; a caller without metadata is not traced. */
type EncodeContext = Pick<CallContext, 'signal'> & Partial<Pick<CallContext, 'metadata' | 'peer'>>;

/** Returns the item's name in the cache; no two items of different salt share one. */
function keyOf(
  contentHash: Uint8Array,
  { header: { cacheSalt }, reader }: Pick<IncomingItem, 'header' | 'reader'>,
): string {
  const key = `${Buffer.from(contentHash).toString('hex')} ${reader.variant}`;
  return cacheSalt === '' ? key : `${key} salt ${hash('sha256', cacheSalt, 'hex')}`;
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

/** Gives up what the work holds of the row pool, once everybody who waited for it has left. */
function releaseRows({ finished }: ItemEncoding): void {
  finished.then(
    ({ item }) => {
      if (item.kind === 'pooled') item.lease.release();
    },
    () => {},
  );
}

function resultOf(error: unknown, signal: AbortSignal): ItemResult {
  if (signal.aborted) return 'cancelled';
  return error instanceof MeshError && error.reason !== 'ENGINE_FAILED' ? 'refused' : 'failed';
}
