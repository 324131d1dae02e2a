import type { ServiceTarget } from '#mesh/grpc/bounded-messages.ts';
import { type MeshServer, startMeshServer } from '#mesh/grpc/grpc-server.ts';
import { Health } from '#mesh/grpc/health.ts';
import type { Log } from '#mesh/log/log.ts';
import { LogMetrics } from '#mesh/log/log-metrics.ts';
import type { MetricRegistry } from '#mesh/metrics.ts';
import { InstanceServiceDefinition, InstanceState } from '#protos/autoglm/mesh/v1/instance.ts';
import { createInstanceService, INSTANCE_SERVICE, type InstanceStatus } from './instance.ts';
import { drainInOrder, type Stoppable } from './lifecycle.ts';
import { MetricsServer } from './metrics-server.ts';
import { watchProcess } from './process-metrics.ts';

/** The work that a process serves; after `drain`, when no call is left, comes `close`. */
export interface Served extends Stoppable {
  close(): Promise<void>;
}

export interface ShellOptions {
  /** Address `host:port`; port 0 picks a free one. */
  readonly listen: string;
  /** Where the process shows its metrics, `host:port`, or `off`. */
  readonly metricsListen: string;
  readonly log: Log;
  readonly registry: MetricRegistry;
  /** Facts of the process about itself; the shell changes its state. */
  readonly status: InstanceStatus;
  readonly served: Served;
  /** Full name of the service that `addService` adds. */
  readonly serviceName: string;
  readonly addService: (target: ServiceTarget) => void;
  /** Makes the process known to others by the address that it listens on; unset: by nothing. */
  readonly announce?: (address: string) => { close(): Promise<void> };
}

/**
 * The parts of every process with a gRPC server around its work: health, status and metrics for its
 * watchers, and its states: starting, ready, draining or failed.
 */
export class ProcessShell implements Stoppable {
  readonly #served: Served;
  readonly #status: InstanceStatus;
  readonly #health: Health;
  readonly #server: MeshServer;
  readonly #announcement: { close(): Promise<void> } | undefined;
  /** Address of the page of metrics, `host:port`; undefined if there is none. */
  readonly metricsAddress: string | undefined;
  readonly #metrics: MetricsServer | undefined;

  private constructor(
    { served, status, announce }: ShellOptions,
    parts: {
      readonly health: Health;
      readonly server: MeshServer;
      readonly metrics: MetricsServer | undefined;
    },
  ) {
    this.#served = served;
    this.#status = status;
    this.#health = parts.health;
    this.#server = parts.server;
    this.#metrics = parts.metrics;
    this.metricsAddress = parts.metrics?.address;
    this.#announcement = announce?.(parts.server.address);
  }

  /** Starts to listen; health reports NOT_SERVING until `ready` is called. */
  static async open(options: ShellOptions): Promise<ProcessShell> {
    const { listen, metricsListen, log, registry, status, serviceName } = options;
    new LogMetrics(registry).watch(log);
    watchProcess(registry, status.facts.role);
    const health = new Health([serviceName]);
    const server = await startMeshServer({
      listen,
      log,
      health,
      serviceNames: [serviceName, INSTANCE_SERVICE],
      addServices: (target) => {
        options.addService(target);
        target.add(InstanceServiceDefinition, createInstanceService(status, registry));
      },
    });
    const isEngine = status.facts.role === 'llm-backbone';
    try {
      const page = { metricsListen, registry, isEngine, log };
      const metrics = await MetricsServer.open(page);
      return new ProcessShell(options, { health, server, metrics });
    } catch (error: unknown) {
      await server.close(0);
      throw error;
    }
  }

  /** Address the server listens on, `host:port`. */
  get address(): string {
    return this.#server.address;
  }

  /** Reports that a real piece of work has succeeded and requests are taken. */
  ready(): void {
    this.#enter(InstanceState.INSTANCE_STATE_READY, '');
    this.#health.setServing(true);
  }

  /** Reports that no more requests are taken, for good; `why` is for operators. */
  fail(why: string): void {
    this.#enter(InstanceState.INSTANCE_STATE_FAILED, why);
    this.#health.setServing(false);
  }

  async drain(graceMs: number): Promise<void> {
    this.#enter(InstanceState.INSTANCE_STATE_DRAINING, 'finishing the running requests');
    this.#health.setServing(false);
    const close = async () => {
      await Promise.all([
        this.#served.close(),
        this.#announcement?.close(),
        this.#metrics?.close(),
      ]);
    };
    await drainInOrder({ work: this.#served, server: this.#server, close }, graceMs);
  }

  #enter(state: InstanceState, detail: string): void {
    this.#status.change({ state, detail });
  }
}
