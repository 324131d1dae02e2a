import { performance } from 'node:perf_hooks';
import { type DescribedModel, describeModel } from '#backbone/checkpoint/model-description.ts';
import type { ModelFiles } from '#backbone/checkpoint/model-files.ts';
import { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import { BackboneMetrics } from '#backbone/engine/backbone-metrics.ts';
import { EngineLoop } from '#backbone/engine/engine-loop.ts';
import { Scheduler } from '#backbone/engine/scheduler.ts';
import type { StepExecutor } from '#backbone/engine/step-plan.ts';
import { createEmbeddings } from '#backbone/media/create-embeddings.ts';
import type { Embeddings } from '#backbone/media/embeddings.ts';
import { ChatTemplate } from '#backbone/prompt/chat-template.ts';
import type { RequestReader } from '#backbone/request/generate-request.ts';
import type { GenerationContext } from '#backbone/request/generation.ts';
import { samplingDefaults } from '#backbone/request/sampling.ts';
import { createSeedSource } from '#backbone/request/seed-source.ts';
import { warmUp } from '#backbone/request/warm-up.ts';
import { AdmissionGate } from '#mesh/admission-gate.ts';
import { type MeshServer, startMeshServer } from '#mesh/grpc/grpc-server.ts';
import { Health } from '#mesh/grpc/health.ts';
import { createInstanceService, INSTANCE_SERVICE, type InstanceStatus } from '#mesh/instance.ts';
import type { Log } from '#mesh/log/log.ts';
import { registerLogMetrics } from '#mesh/log/log-metrics.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import type { DecoderDescription, IsaLevel } from '#native';
import {
  type GetModelResponse,
  LlmBackboneServiceDefinition,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { InstanceServiceDefinition, InstanceState } from '#protos/autoglm/mesh/v1/instance.ts';
import { type BackboneOptions, checkBackboneOptions } from './options.ts';
import { createBackboneService } from './service.ts';

/** Time the last messages of a drained server are given to reach their readers. */
const LAST_WRITES_MS = 500;

/** A decoder in memory and where it is. */
export interface LoadedDecoder {
  readonly executor: StepExecutor;
  readonly description: DecoderDescription;
  readonly device: string;
  readonly isa: IsaLevel | '';
}

/** A serving backbone. */
export interface Backbone {
  readonly address: string;
  readonly model: DescribedModel;
  readonly scheduler: Scheduler;
  /** Rejects with ENGINE_FAILED when the engine is dead; resolves after `drain`. */
  readonly done: Promise<void>;
  /** Refuses new requests, lets running ones finish, and after `graceMs` cancels them. */
  drain(graceMs: number): Promise<void>;
}

/** Serves a loaded decoder; resolves once a real token has been generated and health says so. */
export async function startBackbone(
  options: BackboneOptions,
  decoder: LoadedDecoder,
  files: ModelFiles,
  log: Log,
): Promise<Backbone> {
  checkBackboneOptions(options);
  const tokenizer = await Tokenizer.load(options.model);
  const model = await describeModel(options, decoder, { files, tokenizer });
  const registry = new MetricRegistry();
  registerLogMetrics(registry, log);
  const scheduler = createScheduler(options, decoder.description);
  const context = createContext({ registry, scheduler, decoder, tokenizer, model });
  const done = context.engine.run();
  await Promise.race([warmUp(context), done]);
  const { modalities } = files;
  const media = createEmbeddings(options, { model, modalities, registry, log });
  const gate = new AdmissionGate('this instance is finishing its work and takes no more');
  const health = new Health([LlmBackboneServiceDefinition.fullName]);
  const status = instanceStatus(model, decoder);
  const reader = createReader(options, files, { tokenizer, model, scheduler, decoder });
  const service = createBackboneService({ model, reader, context, scheduler, ...media, gate, log });
  const server = await startMeshServer({
    listen: options.listen,
    log,
    health,
    serviceNames: [LlmBackboneServiceDefinition.fullName, INSTANCE_SERVICE],
    addServices: (target) => {
      target.add(LlmBackboneServiceDefinition, service);
      target.add(
        InstanceServiceDefinition,
        createInstanceService(() => status, registry),
      );
    },
  });
  health.setServing(true);
  done.catch(() => {
    health.setServing(false);
    context.metrics.engineDied();
    status.state = InstanceState.INSTANCE_STATE_FAILED;
    status.detail = 'the engine is dead';
  });
  const { embeddings } = media;
  const drain = createDrain({ status, health, gate, engine: context.engine, server, embeddings });
  return { address: server.address, model, scheduler, done, drain };
}

function createScheduler(options: BackboneOptions, description: DecoderDescription): Scheduler {
  return new Scheduler({
    numBlocks: description.numBlocks,
    blockSize: description.blockSize,
    maxNumSeqs: options.maxNumSeqs,
    maxNumBatchedTokens: options.maxNumBatchedTokens,
    maxNumWaiting: options.maxNumWaiting,
  });
}

interface ContextParts {
  readonly registry: MetricRegistry;
  readonly scheduler: Scheduler;
  readonly decoder: LoadedDecoder;
  readonly tokenizer: Tokenizer;
  readonly model: DescribedModel;
}

function createContext(parts: ContextParts): GenerationContext {
  const { scheduler, decoder, tokenizer } = parts;
  const now = () => performance.now();
  const metrics = new BackboneMetrics(parts.registry, parts.model.servedNames[0] ?? '');
  metrics.watch(scheduler);
  const engine = new EngineLoop({ scheduler, executor: decoder.executor, metrics, now });
  let numSequences = 0;
  const nextSequenceId = () => numSequences++;
  return { engine, vocabulary: tokenizer.vocabulary, metrics, now, nextSequenceId };
}

function createReader(
  options: BackboneOptions,
  files: ModelFiles,
  parts: Pick<ContextParts, 'tokenizer' | 'model' | 'scheduler' | 'decoder'>,
): RequestReader {
  const { tokenizer, model, scheduler, decoder } = parts;
  const contentFormat = options.chatTemplateContentFormat;
  const { chatTemplate: template, specialTokens } = files;
  return {
    prompt: {
      tokenizer,
      chatTemplate: template && new ChatTemplate({ ...template, specialTokens, contentFormat }),
      media: {
        placeholderIds: {
          image: files.placeholderIds.image ?? tokenizer.vocabulary.addedId('<|image|>'),
          audio: files.placeholderIds.audio ?? tokenizer.vocabulary.addedId('<|audio|>'),
        },
        mergeSize: files.mergeSize,
        hasMrope: decoder.description.mropeSection !== null,
      },
    },
    sampling: {
      defaults: samplingDefaults(files.generationConfig, options.generationConfig),
      vocabSize: tokenizer.vocabulary.size,
      numLogits: decoder.description.vocabSize,
      eosTokenIds: files.eosTokenIds,
      drawSeed: createSeedSource(options.seed),
    },
    promptLimits: model.promptLimits,
    limits: {
      maxModelLen: model.maxModelLen,
      numCacheTokens: scheduler.numCacheTokens,
      blockSize: model.blockSize,
    },
  };
}

function instanceStatus(model: GetModelResponse, { device, isa }: LoadedDecoder): InstanceStatus {
  return {
    role: 'llm-backbone',
    state: InstanceState.INSTANCE_STATE_READY,
    detail: '',
    device,
    isa,
    modelId: model.modelId,
    fingerprint: model.fingerprint,
  };
}

interface DrainParts {
  readonly status: InstanceStatus;
  readonly health: Health;
  readonly gate: AdmissionGate;
  readonly engine: EngineLoop;
  readonly server: MeshServer;
  readonly embeddings: Embeddings;
}

function createDrain(parts: DrainParts): Backbone['drain'] {
  const { status, health, gate, engine, server, embeddings } = parts;
  return async (graceMs) => {
    status.state = InstanceState.INSTANCE_STATE_DRAINING;
    status.detail = 'finishing the running requests';
    health.setServing(false);
    await gate.drain(graceMs);
    await server.close(LAST_WRITES_MS);
    await embeddings.close();
    engine.close();
  };
}
