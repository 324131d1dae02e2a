import { type Clock, systemClock } from '#mesh/async/clock.ts';
import { withResolvers } from '#mesh/async/with-resolvers.ts';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import { errorMessage } from '#mesh/error-message.ts';
import type { Log } from '#mesh/log/log.ts';
import { announceStatus } from '#mesh/membership/announcement.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { ENCODER_NAMES } from '#mesh/modality.ts';
import { type EncoderCheckpoint, readEncoderCheckpoint } from '#mesh/model/encoder-checkpoint.ts';
import { openMetricsExport } from '#mesh/otlp/open-metrics-export.ts';
import type { EngineService } from '#mesh/process/engine-death.ts';
import { showGpus } from '#mesh/process/gpu-metrics.ts';
import { type InstanceFacts, InstanceStatus } from '#mesh/process/instance.ts';
import { ProcessShell } from '#mesh/process/process-shell.ts';
import { createQuarantine } from '#mesh/process/quarantine.ts';
import { openTracing } from '#mesh/trace/open-tracing.ts';
import { describeDevice } from '#native';
import { InstanceState, Numerics } from '#protos/autoglm/mesh/v1/instance.ts';
import type { EncoderProcessOptions } from './encoder-options.ts';
import { type EncoderEngine, type EncoderRole, ServedTower } from './served-tower.ts';

export interface EncoderCollaborators {
  readonly engine: EncoderEngine;
  readonly log: Log;
  readonly clock?: Clock;
}

/** An encoder that serves requests. */
export interface EncoderProcess extends EngineService {
  /** Address the server listens on, `host:port`. */
  readonly address: string;
  /** Address of its page of metrics, `host:port`; undefined if there is none. */
  readonly metricsAddress: string | undefined;
}

/** Starts an encoder process; resolves when its service listens and is ready. */
export async function startEncoderProcess(
  role: EncoderRole,
  options: EncoderProcessOptions,
  { engine, log, clock = systemClock }: EncoderCollaborators,
): Promise<EncoderProcess> {
  const checkpoint = await readEncoderCheckpoint(options.model, role.modality);
  const registry = new MetricRegistry();
  const telemetry = { role: role.role, registry, log };
  const tracing = await openTracing(options, telemetry);
  const metricsExport = await openMetricsExport(options, telemetry);
  showGpus(registry, [engine.device], { describe: describeDevice });
  const { promise: done, reject: onDeath } = withResolvers<void>();
  const tower = new ServedTower(role, options, {
    checkpoint,
    engine,
    registry,
    quarantine: createQuarantine(),
    log,
    tracing,
    clock,
    onDeath,
    onLoaded: ({ weightDtype, quantization }) =>
      status.change({ numerics: { ...status.facts.numerics, weightDtype, quantization } }),
  });
  const status = new InstanceStatus(startingFacts(role, engine, checkpoint), {
    load: () => tower.load,
  });
  const shell = await ProcessShell.open({
    listen: options.listen,
    metricsListen: options.metricsListen,
    log,
    registry,
    status,
    served: tower,
    serviceName: encoderServiceDefinition.fullName,
    addService: (server) => server.add(encoderServiceDefinition, tower.service),
    announce: (address) => announceStatus(status, address, options, { log, metrics: registry }),
  });
  try {
    await tower.warmUp();
  } catch (error: unknown) {
    await shell.drain(0);
    throw error;
  }
  shell.ready();
  done.catch((error: unknown) => shell.fail(errorMessage(error)));
  const when = options.lazy ? ', loads at first use' : '';
  log.info(`${ENCODER_NAMES[role.modality]} listening on ${shell.address}${when}`);
  const drain = async (graceMs: number) => {
    await shell.drain(graceMs);
    await Promise.all([tracing?.close(), metricsExport?.close()]);
  };
  const { address, metricsAddress } = shell;
  return { address, metricsAddress, done, drain };
}

function startingFacts(
  { role }: EncoderRole,
  { device, isa }: EncoderEngine,
  { modelId, fingerprint }: EncoderCheckpoint,
): InstanceFacts {
  return {
    role,
    state: InstanceState.INSTANCE_STATE_STARTING,
    detail: 'loading the model',
    device,
    modelId,
    servedNames: [],
    fingerprint,
    numerics: Numerics.fromPartial({ isa, numRanks: 1 }),
  };
}
