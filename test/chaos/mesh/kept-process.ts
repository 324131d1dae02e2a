import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Time from the end of a process to its next start, ms. */
const RESTART_DELAY_MS = 200;

/** How a process is started, each time. */
export interface ProcessPlan {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** File that takes what it writes. */
  readonly logPath: string;
  /**
   * Whether it gets an IPC channel, whose closing ends it: no process of the mesh survives the test,
   * however that ended.
   */
  readonly hasChannel: boolean;
  /** Signal that ends it, and all its children, at once. */
  readonly endSignal: 'SIGKILL' | 'SIGTERM';
}

const running = new Set<KeptProcess>();

process.on('exit', () => {
  for (const one of running) one.signal(one.plan.endSignal);
});

/** A process that is started again whenever it has ended. */
export class KeptProcess {
  readonly plan: ProcessPlan;
  #child: ChildProcess | undefined;
  #keeping: Promise<void> | undefined;
  readonly #closing = new AbortController();

  constructor(plan: ProcessPlan) {
    this.plan = plan;
  }

  /** Id of the process; undefined while none runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    running.add(this);
    this.#keeping ??= this.#keep();
  }

  /** Sends a signal to the process, if it runs. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Ends the process by a signal; resolves when it has ended, before it is started again. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }

  /** Ends the process for good. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.signal(this.plan.endSignal);
    await this.#keeping;
    running.delete(this);
  }

  async #keep(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const exit = this.#spawn();
      await exit;
      this.#child = undefined;
      await delay(RESTART_DELAY_MS, undefined, { signal }).catch(ignoreAbort);
    }
  }

  /** Starts the process; resolves when it has ended. */
  async #spawn(): Promise<void> {
    const { command, args, logPath, hasChannel } = this.plan;
    const log = openSync(logPath, 'a');
    // It has a process group of its own: Ctrl-C in the terminal reaches the test alone.
    const child = spawn(command, args, {
      stdio: hasChannel ? ['ignore', log, log, 'ipc'] : ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    this.#child = child;
    await once(child, 'exit');
  }
}

/** The wait is broken off only when the process is closed. */
function ignoreAbort(): void {}
