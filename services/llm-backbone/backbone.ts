import type { DescribedModel } from '#backbone/checkpoint/model-description.ts';
import type { ModelFiles } from '#backbone/checkpoint/model-files.ts';
import type { Scheduler } from '#backbone/engine/scheduler.ts';
import { servedDefinition } from '#backbone/request/response-encoding.ts';
import { errorMessage } from '#mesh/error-message.ts';
import type { Log } from '#mesh/log/log.ts';
import { announceStatus } from '#mesh/membership/announcement.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { openMetricsExport } from '#mesh/otlp/open-metrics-export.ts';
import { type InstanceFacts, InstanceStatus } from '#mesh/process/instance.ts';
import { ProcessShell } from '#mesh/process/process-shell.ts';
import { openTracing } from '#mesh/trace/open-tracing.ts';
import { LlmBackboneServiceDefinition } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { InstanceState } from '#protos/autoglm/mesh/v1/instance.ts';
import type { LoadedDecoder } from './load-decoder.ts';
import { type BackboneOptions, checkBackboneOptions } from './options.ts';
import { ServedModel } from './served-model.ts';
import { BackboneService } from './service.ts';

/** A backbone that serves requests. */
export interface Backbone {
  readonly address: string;
  /** Address of its page of metrics, `host:port`; undefined if there is none. */
  readonly metricsAddress: string | undefined;
  readonly model: DescribedModel;
  readonly scheduler: Scheduler;
  /** Rejects with ENGINE_DEAD when the engine is dead; resolves after `drain`. */
  readonly done: Promise<void>;
  /** Refuses new requests, lets running ones finish, and after `graceMs` cancels them. */
  drain(graceMs: number): Promise<void>;
}

/** Serves a loaded decoder; resolves when a token has been generated and health reports SERVING. */
export async function startBackbone(
  options: BackboneOptions,
  decoder: LoadedDecoder,
  files: ModelFiles,
  log: Log,
): Promise<Backbone> {
  checkBackboneOptions(options);
  for (const setting of files.chatTemplate?.unused ?? []) log.warn(setting);
  const registry = new MetricRegistry();
  let status: InstanceStatus | undefined;
  const onEncoders = () => status?.changes.notify();
  const surroundings = { registry, log, onEncoders };
  const model = await ServedModel.create(options, decoder, files, surroundings);
  const telemetry = { role: 'llm-backbone', registry, log } as const;
  const tracing = await openTracing(options, telemetry);
  const metricsExport = await openMetricsExport(options, telemetry);
  const service = new BackboneService(model, log, tracing);
  status = new InstanceStatus(startingFacts(model), {
    load: () => service.current.load,
    encoders: () => service.current.encoders(),
  });
  const known = status;
  const shell = await ProcessShell.open({
    listen: options.listen,
    metricsListen: options.metricsListen,
    log,
    registry,
    status,
    served: service,
    serviceName: LlmBackboneServiceDefinition.fullName,
    addService: (server) => server.add(servedDefinition, service),
    announce: (address) => announceStatus(known, address, options, { log, metrics: registry }),
  });
  shell.ready();
  model.done.catch((error: unknown) => shell.fail(errorMessage(error)));
  return {
    address: shell.address,
    metricsAddress: shell.metricsAddress,
    model: model.description,
    scheduler: model.scheduler,
    done: model.done,
    drain: async (graceMs) => {
      await shell.drain(graceMs);
      await Promise.all([tracing?.close(), metricsExport?.close()]);
    },
  };
}

function startingFacts({ description, device, numerics }: ServedModel): InstanceFacts {
  const { modelId, servedNames, fingerprint } = description;
  return {
    role: 'llm-backbone',
    state: InstanceState.INSTANCE_STATE_STARTING,
    detail: 'opening the server',
    device,
    modelId,
    servedNames,
    fingerprint,
    numerics,
  };
}
