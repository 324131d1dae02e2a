import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { pino } from 'pino';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { InstanceStatus } from '#mesh/process/instance.ts';
import { ProcessShell, type Served } from '#mesh/process/process-shell.ts';
import { LlmBackboneServiceDefinition } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import {
  InstanceServiceDefinition,
  InstanceState,
  Numerics,
} from '#protos/autoglm/mesh/v1/instance.ts';
import {
  HealthDefinition,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '#protos/grpc/health/v1/health.ts';

const NOTHING: Served = { drain: async () => {}, close: async () => {} };

/** Opens a shell around `served`, and clients that watch it. */
async function openShell(test: TestContext, served: Served = NOTHING) {
  const shell = await ProcessShell.open({
    listen: '127.0.0.1:0',
    metricsListen: 'off',
    log: pino({ level: 'silent' }),
    registry: new MetricRegistry(),
    status: new InstanceStatus(
      {
        role: 'vision-encoder',
        state: InstanceState.INSTANCE_STATE_STARTING,
        detail: 'loading the model',
        device: 'cpu',
        modelId: 'tiny',
        servedNames: [],
        fingerprint: '',
        numerics: Numerics.fromPartial({}),
      },
      {
        load: () => ({
          numRunning: 0,
          numWaiting: 0,
          capacity: 1,
          numOutstandingTokens: 0,
          kvCacheUse: 0,
        }),
      },
    ),
    served,
    serviceName: LlmBackboneServiceDefinition.fullName,
    addService: () => {},
  });
  const channel = openChannel(shell.address, 'tokens');
  test.after(async () => {
    channel.close();
    await shell.drain(0);
  });
  const health = createMeshClient(HealthDefinition, channel);
  const instance = createMeshClient(InstanceServiceDefinition, channel);
  /** Reads the state, the reason in words, and whether the service takes requests. */
  const seen = async () => {
    const { state, detail } = await instance.getStatus({});
    const { status } = await health.check({ service: LlmBackboneServiceDefinition.fullName });
    return [state, detail, status === ServingStatus.SERVING];
  };
  return { shell, seen };
}

describe('the shell of a process', () => {
  it('shows that the process starts and that it is ready', async (test) => {
    const { shell, seen } = await openShell(test);
    assert.deepEqual(await seen(), [
      InstanceState.INSTANCE_STATE_STARTING,
      'loading the model',
      false,
    ]);

    shell.ready();

    assert.deepEqual(await seen(), [InstanceState.INSTANCE_STATE_READY, '', true]);
  });

  it('shows that the process cannot serve, and why', async (test) => {
    const { shell, seen } = await openShell(test);
    shell.ready();

    shell.fail('the engine is dead');

    assert.deepEqual(await seen(), [
      InstanceState.INSTANCE_STATE_FAILED,
      'the engine is dead',
      false,
    ]);
  });

  it('ends the work before the server, and frees what it stood on last', async (test) => {
    const steps: string[] = [];
    let seenInDrain: unknown;
    const { shell, seen } = await openShell(test, {
      drain: async (graceMs) => {
        steps.push(`drain ${graceMs}`);
        seenInDrain ??= await seen();
      },
      close: async () => {
        steps.push('close');
        await assert.rejects(seen());
      },
    });
    shell.ready();

    await shell.drain(7);

    assert.deepEqual(steps.slice(0, 2), ['drain 7', 'close']);
    assert.deepEqual(seenInDrain, [
      InstanceState.INSTANCE_STATE_DRAINING,
      'finishing the running requests',
      false,
    ]);
  });
});
