import type { Clock } from '#mesh/async/clock.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { bytesOfMb } from '#mesh/megabytes.ts';
import type { MetricRegistry } from '#mesh/metrics.ts';
import { ENCODER_NAMES, type MediaModality } from '#mesh/modality.ts';
import type { EncoderCheckpoint } from '#mesh/model/encoder-checkpoint.ts';
import { activationDtypeOf, weightDtype, weightsInWords } from '#mesh/model-options.ts';
import type { Served } from '#mesh/process/process-shell.ts';
import type { Quarantine } from '#mesh/process/quarantine.ts';
import { StepWatchdog } from '#mesh/process/step-watchdog.ts';
import { logWeightsCache } from '#mesh/process/weights-cache-log.ts';
import type { Tracing } from '#mesh/trace/tracing.ts';
import type { DecodedItem, EncoderOptions, ItemFacts, MediaEncoder } from '#native';
import type { InstanceLoad } from '#protos/autoglm/mesh/v1/instance.ts';
import { type Admission, createAdmission } from './admission.ts';
import { DecoderPool } from './decoding/decoder-pool.ts';
import type { DecoderProgram } from './decoding/decoder-process.ts';
import { FairSlots } from './decoding/fair-slots.ts';
import { DeviceRows } from './device-rows.ts';
import { EncoderBatchQueue } from './encoder-batch-queue.ts';
import { EncoderCache } from './encoder-cache.ts';
import { EncoderMetrics } from './encoder-metrics.ts';
import type { EncoderProcessOptions } from './encoder-options.ts';
import { EncoderService } from './encoder-service.ts';
import { fromLoadError } from './engine-error.ts';
import type { MediaFormat } from './media-reader.ts';
import { ResidentEncoder } from './resident-encoder.ts';
import type { RowSharing } from './row-sharing.ts';

/** The parts of an encoder process that depend on its modality. */
export interface EncoderRole {
  readonly role: 'vision-encoder' | 'speech-encoder';
  readonly modality: MediaModality;
  readonly format: MediaFormat;
  /** The program of the processes that decode its files. */
  readonly decoder: DecoderProgram;
  /** A small item; encoding it proves that the tower works. */
  readonly warmUp: { readonly facts: ItemFacts; readonly decoded: DecodedItem };
}

/** The native side of an encoder process. */
export interface EncoderEngine {
  /** The device that holds the towers, as logs name it. */
  readonly device: string;
  /** Instruction set of the kernels; "" on a GPU. */
  readonly isa: string;
  readonly load: (options: EncoderOptions) => Promise<MediaEncoder>;
  /** Shares rows with callers on this host; undefined: they travel in messages. */
  readonly sharing?: RowSharing | undefined;
}

export interface TowerParts {
  readonly checkpoint: EncoderCheckpoint;
  readonly engine: EncoderEngine;
  readonly registry: MetricRegistry;
  readonly quarantine: Quarantine;
  readonly log: Log;
  /** Takes the spans of calls; undefined: nothing does. */
  readonly tracing?: Tracing | undefined;
  readonly clock: Clock;
  /** Called with the tower's description each time it is loaded. */
  readonly onLoaded: (description: MediaEncoder['description']) => void;
  /** Called when the tower stands still. */
  readonly onDeath: (why: unknown) => void;
}

/** One tower of a checkpoint with all parts that encoding needs, from admission to cache. */
export class ServedTower implements Served {
  readonly service: EncoderService;
  readonly #role: EncoderRole;
  readonly #options: EncoderProcessOptions;
  readonly #parts: TowerParts;
  readonly #admission: Admission;
  readonly #resident: ResidentEncoder;
  readonly #queue: EncoderBatchQueue;
  readonly #decoders: DecoderPool;
  readonly #cache: EncoderCache;
  /** Undefined: rows go through memory of the host. */
  #deviceRows: DeviceRows | undefined;

  constructor(role: EncoderRole, options: EncoderProcessOptions, parts: TowerParts) {
    this.#role = role;
    this.#options = options;
    this.#parts = parts;
    this.#cache = new EncoderCache(bytesOfMb(options.encoderCacheMb));
    this.#admission = createAdmission({ maxItems: options.maxQueue, clock: parts.clock });
    this.#resident = new ResidentEncoder({
      clock: parts.clock,
      load: () => this.#load(),
      idleUnloadMs: options.lazy ? options.idleUnloadS * 1000 : Infinity,
    });
    this.#decoders = new DecoderPool({
      program: role.decoder,
      numDecoders: options.decoders,
      limits: {
        cpuMs: options.decodeTimeoutS * 1000,
        memoryBytes: bytesOfMb(options.decodeMemoryMb),
      },
    });
    const metrics = new EncoderMetrics(parts.registry);
    this.#queue = new EncoderBatchQueue({
      limits: { maxBatchSize: options.maxBatchSize, windowMs: options.batchWindowMs },
      clock: parts.clock,
      quarantine: parts.quarantine,
      watchdog: new StepWatchdog({ clock: parts.clock, limitMs: options.stepTimeoutS * 1000 }),
      onDeath: parts.onDeath,
      onBatch: (numItems) => metrics.batchSize.observe(numItems),
    });
    this.service = this.#createService(metrics);
  }

  /** The number of items inside and the most it takes. */
  get load(): InstanceLoad {
    const { numWaiting } = this.#queue;
    const numRunning = this.#admission.items.numInside - numWaiting;
    const { maxQueue: capacity } = this.#options;
    return { numRunning, numWaiting, capacity, numOutstandingTokens: 0, kvCacheUse: 0 };
  }

  /** Starts a decoder and encodes a small item, unless the tower is to be loaded at its first use. */
  async warmUp(): Promise<void> {
    this.#decoders.warmUp();
    if (this.#options.lazy) return;
    const { signal } = new AbortController();
    await this.#resident.use(signal, async (encoder) => {
      const { facts, decoded } = this.#role.warmUp;
      const { grid } = encoder.plan(facts);
      await Promise.all(encoder.encode([{ ...decoded, grid }]));
    });
  }

  drain(graceMs: number): Promise<void> {
    return this.#admission.calls.drain(graceMs);
  }

  async close(): Promise<void> {
    this.#decoders.close();
    await this.#resident.close();
  }

  #createService(metrics: EncoderMetrics): EncoderService {
    const { maxBatchSize, maxItemMb, maxQueue } = this.#options;
    const { checkpoint, engine, log, tracing, quarantine } = this.#parts;
    const queue = this.#queue;
    const maxPerClient = 2 * maxBatchSize;
    const numSpare = Math.ceil(maxPerClient / 4);
    const cache = this.#cache;
    metrics.watch({
      numAdmitted: () => this.#admission.items.numInside,
      maxAdmitted: () => maxQueue,
      numWaiting: () => queue.numWaiting,
      cacheBytes: () => cache.bytes,
      cacheItems: () => cache.numItems,
      isLoaded: () => this.#resident.loaded !== undefined,
      sharedBytes: () => engine.sharing?.numBytes ?? 0,
      pooledBytes: () => this.#deviceRows?.pool.takenBytes ?? 0,
    });
    return new EncoderService({
      model: { ...checkpoint, modality: this.#role.modality, device: engine.device },
      format: this.#role.format,
      stages: {
        // The next batch is decoded while one runs; a part of the places is left to others.
        decoding: new FairSlots({
          limit: maxPerClient + numSpare,
          maxPerClient,
          maxPerRequest: maxPerClient - numSpare,
        }),
        decoders: this.#decoders,
        resident: this.#resident,
        queue,
      },
      cache,
      sharing: engine.sharing,
      deviceRows: () => this.#deviceRows,
      admission: this.#admission,
      metrics,
      quarantine,
      log,
      tracing,
      maxItemBytes: bytesOfMb(maxItemMb),
    });
  }

  /**
   * Memory of the GPU for rows. None of a tower that is unloaded when idle: others may have the memory
   * open, and the driver does not let it go under them.
   */
  get #rowPoolBytes(): number {
    const { lazy, gpuRowsMb } = this.#options;
    const { isa, sharing } = this.#parts.engine;
    return isa === '' && sharing !== undefined && !lazy ? bytesOfMb(gpuRowsMb) : 0;
  }

  #offerDeviceRows({ rowPool, rowPoolRefusal }: MediaEncoder['description']): void {
    if (rowPoolRefusal !== '') {
      this.#parts.log.warn(
        `rows go through memory of the host, not from GPU to GPU: ${rowPoolRefusal}`,
      );
    }
    if (rowPool === null) return;
    this.#deviceRows = new DeviceRows(rowPool, () => this.#cache.dropPooled());
  }

  /** Loads the tower. A caller that finds it gone is told so, and the log says why. */
  async #load(): Promise<MediaEncoder> {
    try {
      return await this.#loadTower();
    } catch (cause: unknown) {
      const error = fromLoadError(cause);
      if (!this.#options.lazy) throw error;
      this.#parts.log.error({ err: error }, 'the tower cannot be loaded');
      const message = `the ${ENCODER_NAMES[this.#role.modality]} cannot load its model; its log says why`;
      throw new MeshError('NO_READY_ENDPOINT', message, { cause });
    }
  }

  async #loadTower(): Promise<MediaEncoder> {
    const { model, device, threads, dtype, activationDtype, quantizeTower, weightsCache } =
      this.#options;
    const { checkpoint, engine, log, onLoaded } = this.#parts;
    const started = performance.now();
    const encoder = await engine.load({
      modelDirectory: model,
      modality: this.#role.modality,
      device,
      threads,
      weightDtype: weightDtype(dtype),
      activationDtype:
        activationDtype === 'auto' ? activationDtypeOf(dtype, checkpoint.dtype) : activationDtype,
      quantize: quantizeTower,
      ...(weightsCache !== undefined && { weightsCache }),
      ...(engine.sharing !== undefined && { minSharedBytes: engine.sharing.minBytes }),
      ...(this.#rowPoolBytes > 0 && { rowPoolBytes: this.#rowPoolBytes }),
    });
    this.#offerDeviceRows(encoder.description);
    logWeightsCache(log, encoder.description);
    const width = encoder.description.hiddenSize;
    if (width !== checkpoint.hiddenSize) {
      const message = `the tower gives rows of ${width} values, the language model takes ${checkpoint.hiddenSize}`;
      throw new MeshError('INVALID_REQUEST', message);
    }
    for (const setting of encoder.description.unusedSettings) log.warn(setting);
    onLoaded(encoder.description);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const weights = weightsInWords(encoder.description);
    const facts = `${checkpoint.modelId}, ${weights}, ${seconds} s`;
    const name = ENCODER_NAMES[this.#role.modality];
    const capital = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
    log.info(`${capital} loaded on ${engine.device} (${facts})`);
    return encoder;
  }
}
