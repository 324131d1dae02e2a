import { type ChildProcess, fork, type StdioOptions } from 'node:child_process';
import { type Clock, systemClock } from '#mesh/async/clock.ts';
import { secretVariables, withoutKeys } from '#mesh/command-line/environment.ts';
import { toFlags } from '#mesh/command-line/flags.ts';
import type { Log } from '#mesh/log/log.ts';
import type { Member } from '#mesh/peers/membership.ts';
import { CRASH_SIGNALS } from '#mesh/process/crash-signals.ts';
import { RESTARTS } from '#mesh/process/process-metrics.ts';
import { JOURNAL_FD } from '#mesh/process/quarantine.ts';
import {
  FOLLOWED_ROLES,
  JOURNALLED,
  SUPERVISED,
  type ToProcess,
  type ToSupervisor,
} from '#mesh/process/supervision.ts';
import { codePath } from './code-path.ts';
import type { ProcessConfig } from './config/config.ts';
import type { JournalFile } from './journal-file.ts';
import { Liveness } from './liveness.ts';
import type { Suspects } from './suspects.ts';

/** The end of a process. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly uptimeMs: number;
}

export interface RunOptions {
  readonly log: Log;
  readonly clock?: Clock;
  readonly journal: JournalFile;
  readonly suspects: Suspects;
  /** Times that the process was started again before. */
  readonly numRestarts: number;
  readonly onStarted: () => void;
  /** Called with the address of the page on which the process shows its metrics, `host:port`. */
  readonly onMetrics: (address: string) => void;
  /** Returns the members of a role that the process follows. */
  readonly membersOf: (role: string) => readonly Member[];
  /** Called when the process has received a signal. */
  readonly onSignalled: () => void;
}

/** One run of a process of the mesh, from its start to its end. */
export class ProcessRun {
  readonly ended: Promise<Exit>;
  readonly #config: ProcessConfig;
  readonly #options: RunOptions;
  readonly #child: ChildProcess;
  readonly #liveness: Liveness | undefined;
  readonly #startedMs = performance.now();
  #isDraining = false;
  #progress = '';

  constructor(config: ProcessConfig, options: RunOptions) {
    this.#config = config;
    this.#options = options;
    this.#child = startChild(config, options);
    this.#child.on('message', (message: ToSupervisor) => this.#onMessage(message));
    this.#liveness = this.#watchLiveness();
    this.ended = this.#end();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** How far its start has come, in words; '' if there is nothing to say. */
  get progress(): string {
    return this.#progress;
  }

  /** Whether the process was asked to drain. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Asks the process to drain and end, within this many milliseconds if the whole mesh ends. */
  drain(limitMs?: number): void {
    this.#isDraining = true;
    this.#send({ kind: 'drain', ...(limitMs !== undefined && { limitMs }) });
  }

  /** Ends a process that is still starting, which has nothing to drain; others ask what to do. */
  terminate(): void {
    this.#child.kill('SIGTERM');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Tells the process the members of a role if it follows that. */
  tellMembers(role: string): void {
    if (!this.#config.follows.includes(role)) return;
    this.#send({ kind: 'members', role, members: this.#options.membersOf(role) });
  }

  /** Tells the process to open its log anew. */
  tellReopenLog(): void {
    this.#send({ kind: 'reopen log' });
  }

  /** Tells the process which content is suspected. */
  tellSuspects(): void {
    const { all } = this.#options.suspects;
    this.#send({ kind: 'suspects', suspects: all });
  }

  #send(message: ToProcess): void {
    if (this.#child.connected) this.#child.send(message, ignoreClosedChannel);
  }

  #onMessage(message: ToSupervisor): void {
    switch (message.kind) {
      case 'cleared':
        this.#options.suspects.cleared(message.key);
        return;
      case 'asks suspects':
        this.tellSuspects();
        return;
      case 'asks members':
        this.tellMembers(message.role);
        return;
      case 'alive':
        this.#liveness?.answered();
        return;
      case 'shows metrics':
        this.#options.onMetrics(message.address);
        return;
      case 'starting':
        this.#progress = message.progress;
        return;
      case 'started':
        this.#progress = '';
        this.#liveness?.started();
        this.#options.onStarted();
        return;
      case 'signalled':
        this.#options.onSignalled();
    }
  }

  #watchLiveness(): Liveness | undefined {
    const limitMs = Number(this.#config.values['livenessTimeoutS'] ?? 0) * 1000;
    if (limitMs === 0) return undefined;
    const { log, clock = systemClock } = this.#options;
    return new Liveness({
      clock,
      limitMs,
      ping: () => this.#send({ kind: 'ping' }),
      onSilent: () => {
        log.error(`${this.#config.name} does not answer (process ${this.pid}); killing it`);
        this.kill();
      },
    });
  }

  /** Notes what was in the step of the process if it crashed. */
  #noteSuspects(signal: NodeJS.Signals | null): void {
    const { journal, suspects, log } = this.#options;
    const keys = journal.take();
    if (keys.length === 0 || signal === null || !CRASH_SIGNALS.has(signal)) return;
    const excerpts = keys.map((key) => key.slice(0, 12)).join(', ');
    log.error(`${this.#config.name} crashed with ${excerpts} in its step: suspected`);
    suspects.crashed(keys);
  }

  async #end(): Promise<Exit> {
    const [code, signal] = await exitOf(this.#child, (err) =>
      this.#options.log.error({ err }, cannotStart(this.#config.name)),
    );
    this.#liveness?.stop();
    this.#noteSuspects(signal);
    return { code, signal, uptimeMs: performance.now() - this.#startedMs };
  }
}

function startChild(
  { role, name, values, follows }: ProcessConfig,
  options: RunOptions,
): ChildProcess {
  const { journal, numRestarts } = options;
  const journalFd = journal.fd;
  // The IPC channel carries the request to end; its closing tells that the supervisor is gone.
  const stdio: StdioOptions = ['ignore', 'inherit', 'inherit', 'ipc'];
  if (journalFd !== undefined) stdio[JOURNAL_FD] = journalFd;
  return fork(codePath(role.main), toFlags(role.options, values), {
    stdio,
    // The child has its own process group: Ctrl-C in the terminal reaches only the supervisor,
    // which then stops the processes in order.
    detached: true,
    env: {
      ...role.environment,
      ...withoutKeys(process.env),
      ...secretVariables(role.options, values),
      [SUPERVISED]: name,
      [FOLLOWED_ROLES]: follows.join(','),
      [RESTARTS]: String(numRestarts),
      ...(journalFd !== undefined && { [JOURNALLED]: '1' }),
    },
  });
}

function exitOf(
  child: ChildProcess,
  onError: (error: Error) => void,
): Promise<readonly [number | null, NodeJS.Signals | null]> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      // What the process said last is still in the channel; only its closing follows all messages.
      if (child.connected) child.once('disconnect', () => resolve([code, signal]));
      else resolve([code, signal]);
    });
    child.once('error', (error) => {
      onError(error);
      if (child.pid === undefined) resolve([1, null]);
    });
  });
}

/** Says that the system started no process. */
export const cannotStart = (name: string): string => `cannot start ${name}`;

/** Tells whether a process ended because somebody asked it to, and not by a failure. */
export function wasAsked({ code, signal }: Exit): boolean {
  return code === 0 || signal === 'SIGTERM' || signal === 'SIGINT';
}

/** Describes an exit: `exited with status 1 after 2.0 s`, `was killed by SIGKILL after 2.0 s`. */
export function describeExit({ code, signal, uptimeMs }: Exit): string {
  const ended = signal === 'SIGTERM' || signal === 'SIGINT' ? 'was ended' : 'was killed';
  const how = signal === null ? `exited with status ${code}` : `${ended} by ${signal}`;
  return `${how} after ${(uptimeMs / 1000).toFixed(1)} s`;
}

/** Ignores a closed channel: the process has ended, which was the purpose of the message. */
function ignoreClosedChannel(): void {}
