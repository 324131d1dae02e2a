import { type Clock, systemClock } from '#mesh/async/clock.ts';
import { Semaphore } from '#mesh/async/semaphore.ts';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import { type EncoderCheckpoint, readEncoderCheckpoint } from '#mesh/encoder-checkpoint.ts';
import { MeshError } from '#mesh/errors.ts';
import { type MeshServer, startMeshServer } from '#mesh/grpc/grpc-server.ts';
import { Health } from '#mesh/grpc/health.ts';
import { createInstanceService, INSTANCE_SERVICE, type InstanceStatus } from '#mesh/instance.ts';
import type { Stoppable } from '#mesh/lifecycle.ts';
import type { Log } from '#mesh/log/log.ts';
import { registerLogMetrics } from '#mesh/log/log-metrics.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { weightDtype } from '#mesh/model-options.ts';
import type { DecodedItem, EncoderOptions, ItemFacts, MediaEncoder } from '#native';
import { InstanceServiceDefinition, InstanceState } from '#protos/autoglm/mesh/v1/instance.ts';
import { Admission } from './admission.ts';
import { EncoderBatchQueue } from './encoder-batch-queue.ts';
import { EncoderCache } from './encoder-cache.ts';
import { type EncoderMetrics, registerEncoderMetrics } from './encoder-metrics.ts';
import type { EncoderProcessOptions } from './encoder-options.ts';
import { EncoderService } from './encoder-service.ts';
import { fromEngineError } from './engine-error.ts';
import type { MediaFormat } from './media-reader.ts';
import { ResidentEncoder } from './resident-encoder.ts';

const MIB = 1024 * 1024;

/** After the last item has left, health watches and the like are cut off this soon, milliseconds. */
const CLOSE_GRACE_MS = 200;

/** What makes an encoder process the one of its modality. */
export interface EncoderRole {
  readonly role: 'vision-encoder' | 'speech-encoder';
  /** As it stands in the log. */
  readonly title: string;
  readonly modality: 'image' | 'audio';
  readonly format: MediaFormat;
  /** A small item; encoding it proves that the tower works. */
  readonly warmUp: { readonly facts: ItemFacts; readonly decoded: DecodedItem };
}

/** The native side of an encoder process. */
export interface EncoderEngine {
  /** Where towers go, as logs name it. */
  readonly device: string;
  /** Instruction set of the kernels; empty on a GPU. */
  readonly isa: string;
  readonly load: (options: EncoderOptions) => Promise<MediaEncoder>;
}

export interface EncoderCollaborators {
  readonly engine: EncoderEngine;
  readonly log: Log;
  readonly clock?: Clock;
}

/** Starts an encoder process: a listening service that is ready when this resolves. */
export async function startEncoderProcess(
  role: EncoderRole,
  options: EncoderProcessOptions,
  collaborators: EncoderCollaborators,
): Promise<EncoderProcess> {
  const checkpoint = await readEncoderCheckpoint(options.model, role.modality);
  const process = new EncoderProcess(role, options, { ...collaborators, checkpoint });
  try {
    await process.start();
    return process;
  } catch (error: unknown) {
    await process.drain(0);
    throw error;
  }
}

/** One tower behind its services. */
export class EncoderProcess implements Stoppable {
  readonly #role: EncoderRole;
  readonly #options: EncoderProcessOptions;
  readonly #log: Log;
  readonly #health = new Health([encoderServiceDefinition.fullName]);
  readonly #registry = new MetricRegistry();
  readonly #admission: Admission;
  readonly #resident: ResidentEncoder;
  readonly #service: EncoderService;
  readonly #status: InstanceStatus;
  #server: MeshServer | undefined;

  constructor(
    role: EncoderRole,
    options: EncoderProcessOptions,
    parts: EncoderCollaborators & { readonly checkpoint: EncoderCheckpoint },
  ) {
    const { checkpoint, engine, log, clock = systemClock } = parts;
    this.#role = role;
    this.#options = options;
    this.#log = log;
    registerLogMetrics(this.#registry, log);
    this.#admission = new Admission({ maxItems: options.maxQueue });
    this.#resident = new ResidentEncoder({
      clock,
      load: () => this.#load(engine, checkpoint),
      idleUnloadMs: options.lazy ? options.idleUnloadS * 1000 : Infinity,
    });
    this.#service = this.#createService(checkpoint, { clock, device: engine.device });
    this.#status = {
      role: role.role,
      state: InstanceState.INSTANCE_STATE_STARTING,
      detail: 'loading the model',
      device: engine.device,
      isa: engine.isa,
      modelId: checkpoint.modelId,
      fingerprint: checkpoint.fingerprint,
    };
  }

  /** Address the server listens on, host:port. */
  get address(): string {
    return this.#server?.address ?? '';
  }

  async start(): Promise<void> {
    this.#server = await startMeshServer({
      listen: this.#options.listen,
      log: this.#log,
      health: this.#health,
      serviceNames: [encoderServiceDefinition.fullName, INSTANCE_SERVICE],
      addServices: (server) => {
        server.add(encoderServiceDefinition, {
          encode: (requests, context) => this.#service.encode(requests, context),
          getModel: () => this.#service.getModel(),
        });
        const instance = createInstanceService(() => this.#status, this.#registry);
        server.add(InstanceServiceDefinition, instance);
      },
    });
    if (!this.#options.lazy) await this.#warmUp();
    this.#setState(InstanceState.INSTANCE_STATE_READY, '');
    this.#health.setServing(true);
    const when = this.#options.lazy ? ', loads at first use' : '';
    this.#log.info(`${this.#role.title} listening on ${this.address}${when}`);
  }

  /** Refuses new items, lets running ones finish for `graceMs`, then cancels them and ends. */
  async drain(graceMs: number): Promise<void> {
    this.#setState(InstanceState.INSTANCE_STATE_DRAINING, 'finishing the items inside');
    this.#health.setServing(false);
    await this.#admission.drain(graceMs);
    await this.#server?.close(CLOSE_GRACE_MS);
    await this.#resident.close();
  }

  #createService(
    checkpoint: EncoderCheckpoint,
    { clock, device }: { readonly clock: Clock; readonly device: string },
  ): EncoderService {
    const { encoderCacheMb, maxBatchSize, batchWindowMs, maxItemMb } = this.#options;
    const cache = new EncoderCache(Math.floor(encoderCacheMb * MIB));
    const queue: EncoderBatchQueue = new EncoderBatchQueue({
      limits: { maxBatchSize, windowMs: batchWindowMs },
      clock,
      onBatch: (numItems) => metrics.batchSize.observe(numItems),
    });
    const metrics: EncoderMetrics = registerEncoderMetrics(this.#registry, {
      numAdmitted: () => this.#admission.numItems,
      numWaiting: () => queue.numWaiting,
      cacheBytes: () => cache.bytes,
      cacheItems: () => cache.numItems,
      isLoaded: () => this.#resident.loaded !== undefined,
    });
    return new EncoderService({
      model: { ...checkpoint, modality: this.#role.modality, device },
      format: this.#role.format,
      // While one batch runs the next is decoded.
      stages: { decoding: new Semaphore(2 * maxBatchSize), resident: this.#resident, queue },
      cache,
      admission: this.#admission,
      metrics,
      maxItemBytes: Math.floor(maxItemMb * MIB),
    });
  }

  async #load(engine: EncoderEngine, checkpoint: EncoderCheckpoint): Promise<MediaEncoder> {
    const { model, device, dtype } = this.#options;
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
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const facts = `${checkpoint.modelId}, ${encoder.description.weightDtype}, ${seconds} s`;
    this.#log.info(`${this.#role.title} loaded on ${engine.device} (${facts})`);
    return encoder;
  }

  async #warmUp(): Promise<void> {
    const { signal } = new AbortController();
    await this.#resident.use(signal, async (encoder) => {
      const { facts, decoded } = this.#role.warmUp;
      const { grid } = encoder.plan(facts);
      await Promise.all(encoder.encode([{ ...decoded, grid }]));
    });
  }

  #setState(state: InstanceState, detail: string): void {
    this.#status.state = state;
    this.#status.detail = detail;
  }
}
