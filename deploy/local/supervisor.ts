import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import type { MeshConfig } from './config/config.ts';
import { claimPorts } from './ports.ts';
import { ProcessList } from './process-list.ts';
import { describeExit, type Exit } from './process-run.ts';
import { curlLine, gatewayUrl, takesMessages } from './readiness.ts';
import { RESTART_POLICY, type RestartPolicy } from './restart-policy.ts';
import { ENCODERS, GATEWAY, type TowerRole } from './roles.ts';
import type { EndingTime, SupervisedProcess } from './supervised-process.ts';
import { meshReady } from './whole-readiness.ts';

/** Milliseconds after the drain limit at which the last process is killed. */
const EXIT_GRACE_MS = 3000;

/** Keys that change how much memory a mesh takes. */
const MEMORY_KEYS = 'kv-cache-gb and dtype';

/** Milliseconds after a second signal at which every process is killed. */
const HASTE_MS = 1500;

export interface SupervisorOptions {
  readonly log: Log;
  readonly policy?: RestartPolicy;
}

/**
 * Runs the processes of one mesh on this machine. Until a process has started once, its end counts
 * as a refusal to start and ends the mesh; later it is restarted.
 */
export class Supervisor {
  readonly list: ProcessList;
  readonly #config: MeshConfig;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  #isReady = false;

  constructor(config: MeshConfig, options: SupervisorOptions) {
    this.#config = config;
    this.#log = options.log;
    this.list = new ProcessList({
      log: options.log,
      policy: options.policy ?? RESTART_POLICY,
      meshStopping: this.#stopping.signal,
    });
  }

  /** Aborts when the mesh is to end. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Whether all its first processes have started and the mesh was ready. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Resolves when the mesh has stopped; rejects if it could not start. */
  async run(): Promise<void> {
    this.#log.info('Starting AutoGLM-Phone server...');
    const { stopping: signal } = this;
    const { processes } = this.#config;
    await claimPorts(processes, { log: this.#log, signal });
    if (signal.aborted) return;
    const runs = processes.map((config) => {
      const { process, run } = this.list.start(config, { isMember: true });
      return this.#watch(process, run);
    });
    try {
      await Promise.race([this.#announce(), ...runs]);
      await aborted(signal);
      await this.list.ended();
    } catch (error: unknown) {
      await this.stop();
      throw error;
    }
  }

  /** Drains the edge, then the processes behind it, all within one limit; kills what stays. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const ranks = this.#ranks();
    const beganMs = performance.now();
    const limitMs = Math.max(0, ...this.list.processes.map(drainMsOf));
    for (const [i, rank] of ranks.entries()) {
      const passedMs = performance.now() - beganMs;
      // Each rank has a share of the grace, so that those behind a stubborn one can end in order.
      const graceMs = (EXIT_GRACE_MS * (i + 1)) / ranks.length;
      const time: EndingTime = {
        drainMs: Math.max(0, limitMs - passedMs),
        killMs: Math.max(0, limitMs + graceMs - passedMs),
      };
      await Promise.all(rank.map((process) => process.stop(time)));
    }
  }

  /** Ends the running work, whose clients are told, and every process shortly after. */
  hasten(): void {
    this.#stopping.abort();
    for (const process of this.list.processes) process.hasten();
    setTimeout(() => this.kill(), HASTE_MS).unref();
  }

  /** Tells the processes that the files of their logs were renamed. */
  reopenLogs(): void {
    for (const process of this.list.processes) process.reopenLog();
  }

  /** Ends every process at once. */
  kill(): void {
    this.#stopping.abort();
    for (const process of this.list.processes) process.kill();
  }

  /** Rejects if a process ends before it has started. */
  async #watch(process: SupervisedProcess, run: Promise<Exit>): Promise<void> {
    const exit = await run;
    if (!this.stopping.aborted) throw refusedToStart(process, exit);
  }

  async #announce(): Promise<void> {
    const gateways = this.list.ofRole(GATEWAY.name);
    const [values] = gateways.map(({ config }) => config.values);
    const { stopping: signal } = this;
    try {
      const refusals = await meshReady(this.list, signal);
      if (signal.aborted) return;
      for (const why of refusals) this.#log.error(why);
    } catch (error: unknown) {
      if (signal.aborted) return;
      throw error;
    }
    this.#isReady = true;
    if (values === undefined) return;
    const url = gatewayUrl(values);
    const apiKey = values['apiKey'] === undefined ? undefined : String(values['apiKey']);
    const isChat = await takesMessages(url, { apiKey, signal });
    const line = curlLine(url, { needsKey: apiKey !== undefined, takesMessages: isChat });
    const urls = gateways.map(({ config }) => gatewayUrl(config.values));
    const several = urls.length > 1 ? ` at ${urls.join(', ')}` : '';
    const advice = isChat ? '' : ' (the model has no chat template)';
    this.#log.info(`Ready${several}${advice}. Try: ${line}`);
  }

  /**
   * Returns the processes in stopping order; those of one rank do not need each other: the
   * processes of one role, or all encoders.
   */
  #ranks(): SupervisedProcess[][] {
    const ranks = new Map<string, SupervisedProcess[]>();
    for (const process of this.list.processes) {
      const name = towerRoleOf(process) === undefined ? process.config.role.name : 'encoders';
      ranks.set(name, [...(ranks.get(name) ?? []), process]);
    }
    const encoders = ranks.get('encoders') ?? [];
    ranks.delete('encoders');
    const others = [...ranks.values()].reverse();
    return [...others, ...(encoders.length > 0 ? [encoders] : [])];
  }
}

/** Returns the time that one process has to end, when it ends alone. */
export function endingTimeOf(process: SupervisedProcess): EndingTime {
  const drainMs = drainMsOf(process);
  return { drainMs, killMs: drainMs + EXIT_GRACE_MS };
}

/** Says that a process ended before it had started. */
export function refusedToStart(
  process: SupervisedProcess,
  exit: Exit,
  advice = 'its own message stands above',
): MeshError {
  // The kernel ends what takes too much memory by this signal, and the process cannot say so.
  const memory = exit.signal === 'SIGKILL' ? ` (when memory runs out, see ${MEMORY_KEYS})` : '';
  const message = `${process.name} ${describeExit(exit)} before it had started${memory}`;
  return new MeshError('ENGINE_FAILED', `${message}; ${advice}`);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function drainMsOf({ config }: SupervisedProcess): number {
  return Number(config.values['drainTimeoutS'] ?? 0) * 1000;
}

function towerRoleOf({ config }: SupervisedProcess): TowerRole | undefined {
  return ENCODERS.find((role) => role.name === config.role.name);
}
