import { type ChildProcess, fork } from 'node:child_process';
import { extname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '#mesh/log/log.ts';
import { toEnvironment, toFlags } from '#mesh/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { DRAIN, SIGNALLED, SUPERVISED } from '#mesh/process/lifecycle.ts';
import type { ProcessConfig } from './config.ts';
import { planRestart, type RestartPolicy } from './restart-policy.ts';

/** Children run from sources if this module does (in development), otherwise from build/. */
const EXTENSION = extname(import.meta.filename);
const CODE_ROOT = EXTENSION === '.ts' ? PACKAGE_ROOT : join(PACKAGE_ROOT, 'build');

/**
 * Milliseconds within which a service manager signals all processes of a mesh and the supervisor.
 */
const SIGNALLED_TOGETHER_MS = 500;

/** The end of a process. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly uptimeMs: number;
}

export interface SupervisionOptions {
  readonly log: Log;
  readonly policy: RestartPolicy;
  /** Called each time the process ends unasked; false gives up. */
  readonly mayRestart: () => boolean;
  /** Aborts when the whole mesh is to end. */
  readonly meshStopping: AbortSignal;
}

/** One process of the mesh, which is restarted when it dies until it is told to stop. */
export class SupervisedProcess {
  readonly config: ProcessConfig;
  readonly #options: SupervisionOptions;
  readonly #stopping = new AbortController();
  #child: ChildProcess | undefined;
  #ended: Promise<Exit> | undefined;

  constructor(config: ProcessConfig, options: SupervisionOptions) {
    this.config = config;
    this.#options = options;
  }

  get name(): string {
    return this.config.role.name;
  }

  /** Id of the process; undefined while it waits to be restarted. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Keeps the process running; resolves to its last exit: it was stopped, or may not restart. */
  async run(): Promise<Exit> {
    const { log, policy, mayRestart } = this.#options;
    const { signal } = this.#stopping;
    let numFailures = 0;
    for (;;) {
      this.#ended = this.#spawn();
      const exit = await this.#ended;
      if (exit.signal === 'SIGTERM') await this.#signalledTogether();
      if (signal.aborted || !mayRestart()) return exit;
      const restart = planRestart(policy, {
        numFailures,
        uptimeMs: exit.uptimeMs,
        random: Math.random(),
      });
      numFailures = restart.numFailures;
      const wait = `starting it again in ${(restart.delayMs / 1000).toFixed(2)} s`;
      log.error(`${this.name} ${describeExit(exit)}; ${wait} (failure ${numFailures} in a row)`);
      await delay(restart.delayMs, undefined, { signal }).catch(ignoreAbort);
      if (signal.aborted) return exit;
    }
  }

  /** Asks the process to drain and end; kills it after `limitMs`. */
  async stop(limitMs: number): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    if (child === undefined) return;
    this.#drain(child);
    // SIGTERM ends a process that is still starting, which has nothing to drain.
    child.kill('SIGTERM');
    const timer = setTimeout(() => {
      this.#options.log.warn(`${this.name} did not end within ${limitMs / 1000} s; killing it`);
      child.kill('SIGKILL');
    }, limitMs);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Ends the process at once. */
  kill(): void {
    this.#stopping.abort();
    this.#child?.kill('SIGKILL');
  }

  #drain(child: ChildProcess): void {
    if (child.connected) child.send(DRAIN, ignoreClosedChannel);
  }

  /**
   * Drains a signalled process if it alone was signalled; otherwise `stop` drains it in its turn.
   */
  async #onSignalled(child: ChildProcess): Promise<void> {
    if (!(await this.#signalledTogether())) this.#drain(child);
  }

  /** Tells whether the whole mesh is told to end at about this time. */
  async #signalledTogether(): Promise<boolean> {
    const signal = this.#options.meshStopping;
    await delay(SIGNALLED_TOGETHER_MS, undefined, { signal }).catch(ignoreAbort);
    return signal.aborted;
  }

  #spawn(): Promise<Exit> {
    const { role, values } = this.config;
    const startedMs = performance.now();
    const child = fork(join(CODE_ROOT, `${role.main}${EXTENSION}`), toFlags(role.options, values), {
      // The IPC channel carries the request to end; its closing tells that the supervisor is gone.
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // The child has its own process group: Ctrl-C in the terminal reaches only the supervisor,
      // which then stops the processes in order.
      detached: true,
      env: { ...process.env, ...toEnvironment(role.options, values), [SUPERVISED]: '1' },
    });
    this.#child = child;
    child.on('message', (message) => {
      if (message === SIGNALLED) void this.#onSignalled(child);
    });
    return new Promise((resolve) => {
      const onEnd = (code: number | null, signal: NodeJS.Signals | null) => {
        this.#child = undefined;
        resolve({ code, signal, uptimeMs: performance.now() - startedMs });
      };
      child.once('exit', onEnd);
      child.once('error', (err) => {
        this.#options.log.error({ err }, `cannot start ${this.name}`);
        if (child.pid === undefined) onEnd(1, null);
      });
    });
  }
}

/** Describes an exit: `exited with status 1 after 2.0 s`, `was killed by SIGKILL after 2.0 s`. */
export function describeExit({ code, signal, uptimeMs }: Exit): string {
  const how = signal === null ? `exited with status ${code}` : `was killed by ${signal}`;
  return `${how} after ${(uptimeMs / 1000).toFixed(1)} s`;
}

/** Ignores a closed channel: the process has ended, which was the purpose of the message. */
function ignoreClosedChannel(): void {}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) throw error;
}
