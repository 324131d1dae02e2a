import { pino } from 'pino';
import type { Clock } from '#mesh/async/clock.ts';
import { type MeshServer, startMeshServer } from '#mesh/grpc/grpc-server.ts';
import { Health } from '#mesh/grpc/health.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import {
  createInstanceService,
  type InstanceFacts,
  InstanceStatus,
} from '#mesh/process/instance.ts';
import {
  type EncoderReadiness,
  type InstanceLoad,
  InstanceServiceDefinition,
  InstanceState,
  Numerics,
} from '#protos/autoglm/mesh/v1/instance.ts';

/** The load of a process without work. */
export const IDLE: InstanceLoad = {
  numRunning: 0,
  numWaiting: 0,
  capacity: 8,
  numOutstandingTokens: 0,
  kvCacheUse: 0,
};

interface StatusParts {
  /** Read whenever a message is written; a test may change it. */
  readonly load?: InstanceLoad;
  readonly encoders?: () => EncoderReadiness[];
}

/** Makes the status of a process that a test scripts. */
export function statusOf(
  facts: Partial<InstanceFacts> = {},
  { load = IDLE, encoders = () => [] }: StatusParts = {},
): InstanceStatus {
  const all: InstanceFacts = {
    role: 'llm-backbone',
    state: InstanceState.INSTANCE_STATE_READY,
    detail: '',
    device: 'cpu',
    modelId: 'tiny',
    servedNames: ['tiny'],
    fingerprint: 'a1',
    numerics: Numerics.fromPartial({ isa: 'reference', numRanks: 1 }),
    ...facts,
  };
  return new InstanceStatus(all, { load: () => ({ ...load }), encoders });
}

export interface ScriptedInstanceOptions {
  readonly status?: InstanceStatus;
  /** Clock of its heartbeat. */
  readonly clock?: Clock;
  /** Whether it has the Watch call. Unset: true. */
  readonly hasWatch?: boolean;
}

/** A process whose health and facts a test changes; it has no service of its own. */
export class ScriptedInstance {
  readonly health = new Health([]);
  readonly status: InstanceStatus;
  readonly #options: ScriptedInstanceOptions;
  #server: MeshServer | undefined;

  constructor(options: ScriptedInstanceOptions = {}) {
    this.#options = options;
    this.status = options.status ?? statusOf();
    this.health.setServing(true);
  }

  get address(): string {
    return this.#server?.address ?? '';
  }

  async start(listen = '127.0.0.1:0'): Promise<this> {
    const { clock, hasWatch = true } = this.#options;
    const service = createInstanceService(this.status, new MetricRegistry(), clock);
    this.#server = await startMeshServer({
      listen,
      log: pino({ level: 'silent' }),
      health: this.health,
      serviceNames: [],
      addServices: (server) => {
        if (hasWatch) server.add(InstanceServiceDefinition, service);
      },
    });
    return this;
  }

  async stop(): Promise<void> {
    await this.#server?.close(0);
  }
}
