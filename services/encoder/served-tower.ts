import type { Clock } from '#mesh/async/clock.ts';
import { Semaphore } from '#mesh/async/semaphore.ts';
import type { EncoderCheckpoint } from '#mesh/encoder-checkpoint.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { bytesOfMb } from '#mesh/megabytes.ts';
import type { MetricRegistry } from '#mesh/metrics.ts';
import { ENCODER_NAMES, type MediaModality } from '#mesh/modality.ts';
import { weightDtype } from '#mesh/model-options.ts';
import type { Served } from '#mesh/process/process-shell.ts';
import type { DecodedItem, EncoderOptions, ItemFacts, MediaEncoder } from '#native';
import type { InstanceLoad } from '#protos/autoglm/mesh/v1/instance.ts';
import { type Admission, createAdmission } from './admission.ts';
import { EncoderBatchQueue } from './encoder-batch-queue.ts';
import { EncoderCache } from './encoder-cache.ts';
import { EncoderMetrics } from './encoder-metrics.ts';
import type { EncoderProcessOptions } from './encoder-options.ts';
import { EncoderService } from './encoder-service.ts';
import { fromEngineError } from './engine-error.ts';
import type { MediaFormat } from './media-reader.ts';
import { ResidentEncoder } from './resident-encoder.ts';

/** The parts of an encoder process that depend on its modality. */
export interface EncoderRole {
  readonly role: 'vision-encoder' | 'speech-encoder';
  readonly modality: MediaModality;
  readonly format: MediaFormat;
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
}

export interface TowerParts {
  readonly checkpoint: EncoderCheckpoint;
  readonly engine: EncoderEngine;
  readonly registry: MetricRegistry;
  readonly log: Log;
  readonly clock: Clock;
  /** Called with the tower's description each time it is loaded. */
  readonly onLoaded: (description: MediaEncoder['description']) => void;
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

  constructor(role: EncoderRole, options: EncoderProcessOptions, parts: TowerParts) {
    this.#role = role;
    this.#options = options;
    this.#parts = parts;
    this.#admission = createAdmission({ maxItems: options.maxQueue });
    this.#resident = new ResidentEncoder({
      clock: parts.clock,
      load: () => this.#load(),
      idleUnloadMs: options.lazy ? options.idleUnloadS * 1000 : Infinity,
    });
    const metrics = new EncoderMetrics(parts.registry);
    this.#queue = new EncoderBatchQueue({
      limits: { maxBatchSize: options.maxBatchSize, windowMs: options.batchWindowMs },
      clock: parts.clock,
      onBatch: (numItems) => metrics.batchSize.observe(numItems),
    });
    this.service = this.#createService(metrics);
  }

  /** The number of items inside and the most it takes. */
  get load(): InstanceLoad {
    const { numWaiting } = this.#queue;
    const numRunning = this.#admission.items.numInside - numWaiting;
    return { numRunning, numWaiting, capacity: this.#options.maxQueue };
  }

  /** Encodes a small item, unless the tower is to be loaded at its first use. */
  async warmUp(): Promise<void> {
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

  close(): Promise<void> {
    return this.#resident.close();
  }

  #createService(metrics: EncoderMetrics): EncoderService {
    const { encoderCacheMb, maxBatchSize, maxItemMb } = this.#options;
    const { checkpoint, engine, log } = this.#parts;
    const queue = this.#queue;
    const cache = new EncoderCache(bytesOfMb(encoderCacheMb));
    metrics.watch({
      numAdmitted: () => this.#admission.items.numInside,
      numWaiting: () => queue.numWaiting,
      cacheBytes: () => cache.bytes,
      cacheItems: () => cache.numItems,
      isLoaded: () => this.#resident.loaded !== undefined,
    });
    return new EncoderService({
      model: { ...checkpoint, modality: this.#role.modality, device: engine.device },
      format: this.#role.format,
      // The next batch is decoded while one runs.
      stages: { decoding: new Semaphore(2 * maxBatchSize), resident: this.#resident, queue },
      cache,
      admission: this.#admission,
      metrics,
      log,
      maxItemBytes: bytesOfMb(maxItemMb),
    });
  }

  async #load(): Promise<MediaEncoder> {
    const { model, device, dtype } = this.#options;
    const { checkpoint, engine, log, onLoaded } = this.#parts;
    const started = performance.now();
    const encoder = await engine
      .load({
        modelDirectory: model,
        modality: this.#role.modality,
        device,
        weightDtype: weightDtype(dtype),
      })
      .catch((error: unknown) => Promise.reject(fromEngineError(error)));
    const width = encoder.description.hiddenSize;
    if (width !== checkpoint.hiddenSize) {
      const message = `the tower gives rows of ${width} values, the language model takes ${checkpoint.hiddenSize}`;
      throw new MeshError('INVALID_REQUEST', message);
    }
    onLoaded(encoder.description);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const facts = `${checkpoint.modelId}, ${encoder.description.weightDtype}, ${seconds} s`;
    log.info(`${ENCODER_NAMES[this.#role.modality]} loaded on ${engine.device} (${facts})`);
    return encoder;
  }
}
