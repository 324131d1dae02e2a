import { type DescribedModel, describeModel } from '#backbone/checkpoint/model-description.ts';
import type { ModelFiles } from '#backbone/checkpoint/model-files.ts';
import { readNumerics } from '#backbone/checkpoint/numerics.ts';
import { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import { BackboneMetrics } from '#backbone/engine/backbone-metrics.ts';
import { EngineLoop } from '#backbone/engine/engine-loop.ts';
import { Scheduler } from '#backbone/engine/scheduler.ts';
import type { Sequence } from '#backbone/engine/sequence.ts';
import { createEmbeddings } from '#backbone/media/create-embeddings.ts';
import {
  type AdmissionContext,
  type Arrival,
  admit,
  failedRequest,
} from '#backbone/request/admission.ts';
import { createReader } from '#backbone/request/create-reader.ts';
import type { RequestReader } from '#backbone/request/generate-request.ts';
import type { Generation, GenerationContext } from '#backbone/request/generation.ts';
import type { ResponseQueue } from '#backbone/request/response-queue.ts';
import { warmUp } from '#backbone/request/warm-up.ts';
import { type Clock, systemClock } from '#mesh/async/clock.ts';
import { EXPECTED_ANSWER_TOKENS } from '#mesh/balance/expected-work.ts';
import { excerpt } from '#mesh/client-text.ts';
import { deviceList } from '#mesh/devices/device-list.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { logFailure } from '#mesh/log/log-failure.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { AdmissionGate } from '#mesh/process/admission-gate.ts';
import { showGpus } from '#mesh/process/gpu-metrics.ts';
import type { Served } from '#mesh/process/process-shell.ts';
import { createQuarantine } from '#mesh/process/quarantine.ts';
import { StepWatchdog } from '#mesh/process/step-watchdog.ts';
import { type DecoderDescription, describeDevice } from '#native';
import type { EncoderReadiness, InstanceLoad, Numerics } from '#protos/autoglm/mesh/v1/instance.ts';
import type { LoadedDecoder } from './load-decoder.ts';
import type { BackboneOptions } from './options.ts';
import { parseSpeculativeConfig } from './speculative-config.ts';

const CLOSED = 'this instance is finishing its work and takes no more';

/** The process around a model that is served. */
export interface ModelSurroundings {
  /** The process's metrics, which also show those of the model. */
  readonly registry: MetricRegistry;
  readonly log: Log;
  /** Called when an encoder has come or gone. */
  readonly onEncoders: () => void;
  /** Clock of the engine's watchdog. */
  readonly clock?: Clock;
}

/** A request inside a served model. */
export interface RunningRequest {
  readonly responses: ResponseQueue;
  /** Frees the request's place; called once, when its reader is done. */
  leave(): void;
}

interface ModelParts extends AdmissionContext {
  readonly decoder: LoadedDecoder;
  readonly numerics: Numerics;
  readonly metrics: BackboneMetrics;
  /** Metrics of this model alone. */
  readonly registry: MetricRegistry;
  readonly log: Log;
  /** Settles when the engine's loop ends. */
  readonly done: Promise<void>;
}

/**
 * One checkpoint with all parts that serve it, from admission to the decoder. A process may hold
 * several: each has its own gate, engine, caches and clients of the encoders.
 */
export class ServedModel implements Served {
  readonly description: DescribedModel;
  readonly device: string;
  /** The settings that, if equal in another replica, give the same bits. */
  readonly numerics: Numerics;
  readonly reader: RequestReader;
  readonly scheduler: Scheduler;
  /** Rejects with ENGINE_DEAD when the engine is dead; resolves after `close`. */
  readonly done: Promise<void>;
  readonly #parts: ModelParts;
  readonly #gate = new AdmissionGate({ closed: CLOSED });
  readonly #running = new Set<Generation>();

  private constructor(parts: ModelParts) {
    this.#parts = parts;
    this.description = parts.model;
    this.device = parts.decoder.device;
    this.numerics = parts.numerics;
    this.reader = parts.reader;
    this.scheduler = parts.scheduler;
    this.done = parts.done;
    this.done
      .catch(() => parts.metrics.engineDied())
      .then(() => parts.decoder.close())
      .catch((err: unknown) => parts.log.error({ err }, 'the decoder cannot be freed'));
  }

  /** Builds a model around a decoder; once this has resolved, the model frees the decoder. */
  static async create(
    options: BackboneOptions,
    decoder: LoadedDecoder,
    files: ModelFiles,
    surroundings: ModelSurroundings,
  ): Promise<ServedModel> {
    const { log, onEncoders } = surroundings;
    const tokenizer = await Tokenizer.load(options.model);
    const model = await describeModel(options, decoder, { files, tokenizer });
    const numerics = await readNumerics(options, decoder, files);
    const scheduler = createScheduler(options, decoder.description);
    const reader = createReader(options, {
      files,
      tokenizer,
      promptLimits: model.promptLimits,
      limits: {
        maxModelLen: model.maxModelLen,
        numCacheTokens: scheduler.numCacheTokens,
        blockSize: model.blockSize,
      },
      hasMrope: decoder.description.mropeSection !== null,
      numLogits: decoder.description.vocabSize,
      hiddenSize: decoder.description.hiddenSize,
      onUnreadArg: (name) => {
        const shown = excerpt(name);
        log.warn({ template_arg: shown }, `the template argument ${shown} has no effect`);
      },
    });
    const registry = new MetricRegistry(surroundings.registry);
    const metrics = new BackboneMetrics(registry, model.servedNames[0] ?? '');
    metrics.watch(scheduler, decoder.description);
    showGpus(registry, deviceList(decoder.device), { describe: describeDevice });
    const { stepTimeoutS, streamInterval } = options;
    const { clock = systemClock } = surroundings;
    const parts = { clock, stepTimeoutS, streamInterval, scheduler, decoder, tokenizer, metrics };
    const generations = createContext(parts);
    const { done } = await startEngine(generations);
    const { modalities } = files;
    const { rows } = decoder;
    const media = createEmbeddings(options, { model, rows, modalities, registry, log, onEncoders });
    registry.open();
    const engine = { scheduler, generations, decoder, done };
    return new ServedModel({
      model,
      numerics,
      reader,
      ...engine,
      ...media,
      metrics,
      registry,
      log,
    });
  }

  get load(): InstanceLoad {
    const { running, waiting, options, pool } = this.scheduler;
    return {
      numRunning: running.length,
      numWaiting: waiting.length,
      capacity: options.maxNumSeqs,
      numOutstandingTokens: outstandingTokens(running) + outstandingTokens(waiting),
      kvCacheUse: 1 - pool.numFree / options.numBlocks,
    };
  }

  /** Returns the encoders that this model can ask, by modality. */
  encoders(): EncoderReadiness[] {
    return this.#parts.embeddings.encoders();
  }

  /** Admits a request, or refuses it. */
  async admit(arrival: Arrival): Promise<RunningRequest> {
    try {
      return await this.#enter(arrival);
    } catch (error: unknown) {
      const { metrics, log } = this.#parts;
      if (error instanceof MeshError) metrics.rejected(error.reason);
      if (!arrival.signal.aborted) logFailure(log, failedRequest(arrival), error);
      throw error;
    }
  }

  /** Refuses new requests; resolves when the running ones have ended, or after `graceMs`. */
  drain(graceMs: number): Promise<void> {
    return this.#gate.drain(graceMs);
  }

  /** Ends the running requests and frees all parts of the model. */
  async close(): Promise<void> {
    const { embeddings, generations, registry } = this.#parts;
    for (const generation of this.#running) generation.failed(new MeshError('DRAINING', CLOSED));
    await embeddings.close();
    generations.engine.close();
    this.reader.prompt.desk.close();
    this.reader.forms.desk.close();
    registry.close();
  }

  async #enter(arrival: Arrival): Promise<RunningRequest> {
    const leaveGate = this.#gate.enter();
    try {
      const generation = await admit(arrival, this.#parts);
      this.#running.add(generation);
      const leave = () => {
        generation.cancel();
        this.#running.delete(generation);
        leaveGate();
      };
      return { responses: generation.responses, leave };
    } catch (error: unknown) {
      leaveGate();
      throw error;
    }
  }
}

/** Counts the tokens that sequences have yet to compute, answers as far as they are expected. */
function outstandingTokens(sequences: readonly Sequence[]): number {
  return sequences.reduce((sum, sequence) => {
    const numLeft = sequence.endRules.maxTokens - sequence.numCompletionTokens;
    return sum + sequence.numUncomputedTokens + Math.min(numLeft, EXPECTED_ANSWER_TOKENS);
  }, 0);
}

function createScheduler(options: BackboneOptions, description: DecoderDescription): Scheduler {
  return new Scheduler({
    numBlocks: description.numBlocks,
    blockSize: description.blockSize,
    maxNumSeqs: options.maxNumSeqs,
    maxNumBatchedTokens: options.maxNumBatchedTokens,
    maxNumWaiting: options.maxNumWaiting,
    maxNumWaitingMedia: options.maxNumWaitingMedia,
    priorityAgingMs: options.priorityAgingS * 1000,
    speculation: parseSpeculativeConfig(options.speculativeConfig),
  });
}

function createContext(parts: {
  readonly clock: Clock;
  readonly stepTimeoutS: number;
  readonly streamInterval: number;
  readonly scheduler: Scheduler;
  readonly decoder: LoadedDecoder;
  readonly tokenizer: Tokenizer;
  readonly metrics: BackboneMetrics;
}): GenerationContext {
  const { clock, scheduler, decoder, tokenizer, metrics } = parts;
  const now = () => clock.now();
  const quarantine = createQuarantine();
  const { executor } = decoder;
  const watchdog = new StepWatchdog({ clock, limitMs: parts.stepTimeoutS * 1000 });
  const engine = new EngineLoop({ scheduler, executor, metrics, quarantine, watchdog, now });
  let numSequences = 0;
  const nextSequenceId = () => numSequences++;
  const { vocabulary } = tokenizer;
  const { streamInterval } = parts;
  return { engine, vocabulary, metrics, quarantine, now, nextSequenceId, streamInterval };
}

/**
 * Starts the engine; resolves when it has generated a token, with `done`, which settles at its end.
 */
async function startEngine(context: GenerationContext): Promise<{ readonly done: Promise<void> }> {
  const done = context.engine.run();
  try {
    await Promise.race([warmUp(context), done]);
    return { done };
  } catch (error: unknown) {
    context.engine.close();
    throw error;
  }
}
