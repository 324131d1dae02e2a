import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import type { MeshConfig, ProcessConfig } from './config.ts';
import { claimPorts } from './ports.ts';
import { curlLine, gatewayUrl, waitUntilEncodersReady, waitUntilReady } from './readiness.ts';
import { RESTART_POLICY, type RestartPolicy } from './restart-policy.ts';
import { BACKBONE, ENCODERS, GATEWAY, type Role } from './roles.ts';
import { describeExit, SupervisedProcess } from './supervised-process.ts';

/** Milliseconds after the drain limit at which a process is killed. */
const EXIT_GRACE_MS = 3000;

export interface SupervisorOptions {
  readonly log: Log;
  readonly policy?: RestartPolicy;
}

/**
 * Runs the processes of one mesh on this machine. Until the mesh has been ready once, a process
 * that ends counts as a refusal to start and ends the mesh; later it is restarted.
 */
export class Supervisor {
  readonly processes: readonly SupervisedProcess[];
  readonly #log: Log;
  readonly #stopping = new AbortController();
  #wasReady = false;

  constructor(config: MeshConfig, options: SupervisorOptions) {
    this.#log = options.log;
    this.processes = config.processes.map(
      (process) =>
        new SupervisedProcess(process, {
          log: options.log,
          policy: options.policy ?? RESTART_POLICY,
          meshStopping: this.#stopping.signal,
          mayRestart: () => this.#wasReady && !this.#stopping.signal.aborted,
        }),
    );
  }

  /** Resolves when the mesh has stopped; rejects if it could not start. */
  async run(): Promise<void> {
    this.#log.info('Starting AutoGLM-Phone server...');
    const { signal } = this.#stopping;
    const configs = this.processes.map(({ config }) => config);
    await claimPorts(configs, { log: this.#log, signal });
    if (signal.aborted) return;
    const runs = this.processes.map((process) => this.#watch(process));
    const gateway = this.processes.find(({ name }) => name === GATEWAY.name);
    try {
      if (gateway !== undefined) await Promise.race([this.#announce(gateway.config), ...runs]);
      await Promise.all(runs);
    } catch (error: unknown) {
      await this.stop();
      throw error;
    }
  }

  /** Drains the edge, then the processes behind it; kills each one after its limit. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const process of [...this.processes].reverse()) {
      const drainMs = Number(process.config.values['drainTimeoutS'] ?? 0) * 1000;
      await process.stop(drainMs + EXIT_GRACE_MS);
    }
  }

  /** Ends every process at once. */
  kill(): void {
    this.#stopping.abort();
    for (const process of this.processes) process.kill();
  }

  async #watch(process: SupervisedProcess): Promise<void> {
    const exit = await process.run();
    if (this.#stopping.signal.aborted) return;
    const message = `${process.name} ${describeExit(exit)} before the mesh was ready`;
    throw new MeshError('ENGINE_FAILED', `${message}; its own message stands above`);
  }

  async #announce({ values }: ProcessConfig): Promise<void> {
    const url = gatewayUrl(values);
    const { signal } = this.#stopping;
    try {
      await waitUntilReady(url, signal);
      await this.#encodersReady(signal);
    } catch (error: unknown) {
      if (this.#stopping.signal.aborted) return;
      throw error;
    }
    this.#wasReady = true;
    this.#log.info(`Ready. Try: ${curlLine(url, values['apiKey'] !== undefined)}`);
  }

  /** Resolves when the backbone can ask the encoders, which are part of the mesh from then on. */
  async #encodersReady(signal: AbortSignal): Promise<void> {
    const encoders = this.processes.filter(({ config }) => isEncoder(config.role));
    const backbone = this.processes.find(({ name }) => name === BACKBONE.name);
    if (backbone === undefined || encoders.length === 0) return;
    const address = String(backbone.config.values['listen']);
    await waitUntilEncodersReady(address, { numEncoders: encoders.length, signal });
  }
}

function isEncoder(role: Role): boolean {
  return ENCODERS.some(({ name }) => name === role.name);
}
