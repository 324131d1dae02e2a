import { backgroundClock } from '#mesh/async/clock.ts';
import type { Log } from '#mesh/log/log.ts';
import type { Member } from '#mesh/peers/membership.ts';
import type { ProcessConfig } from './config/config.ts';
import type { Exit } from './process-run.ts';
import type { RestartPolicy } from './restart-policy.ts';
import { type EndingTime, SupervisedProcess } from './supervised-process.ts';
import { Suspects } from './suspects.ts';

export interface ProcessListOptions {
  readonly log: Log;
  readonly policy: RestartPolicy;
  /** Aborts when the whole mesh is to end. */
  readonly meshStopping: AbortSignal;
}

interface Entry {
  readonly process: SupervisedProcess;
  readonly run: Promise<Exit>;
  /** Whether the others are told of it. */
  isMember: boolean;
}

/**
 * The processes of a mesh, in starting order. Those that follow a role are told its members at once
 * and after every change.
 */
export class ProcessList {
  readonly #options: ProcessListOptions;
  readonly #suspects = new Map<string, Suspects>();
  #entries: readonly Entry[] = [];

  constructor(options: ProcessListOptions) {
    this.#options = options;
  }

  get processes(): readonly SupervisedProcess[] {
    return this.#entries.map(({ process }) => process);
  }

  /** Returns the process of a name; undefined if there is none. */
  find(name: string): SupervisedProcess | undefined {
    return this.processes.find((one) => one.name === name);
  }

  /** Returns the processes of a role, by their numbers. */
  ofRole(role: string): readonly SupervisedProcess[] {
    return this.processes.filter(({ config }) => config.role.name === role);
  }

  /** Starts a process; the others are told of it when `join` is called, or at once. */
  start(
    config: ProcessConfig,
    { isMember }: { readonly isMember: boolean },
  ): { readonly process: SupervisedProcess; readonly run: Promise<Exit> } {
    const { log, policy, meshStopping } = this.#options;
    const process = new SupervisedProcess(config, {
      log,
      policy,
      meshStopping,
      suspects: this.#suspectsOf(config.role.name),
      membersOf: (role) => this.#membersOf(role),
    });
    const entry = { process, isMember, run: process.run() };
    this.#insert(entry);
    if (isMember) this.#announce(process);
    return entry;
  }

  /** Tells the others of a process. */
  join(process: SupervisedProcess): void {
    for (const entry of this.#entries) if (entry.process === process) entry.isMember = true;
    this.#announce(process);
  }

  /** Takes a process away for good: nobody asks it anything new, it drains, and it ends. */
  async remove(process: SupervisedProcess, time: EndingTime): Promise<void> {
    this.#setLeaving(process, true);
    await process.stop(time);
    this.#entries = this.#entries.filter((entry) => entry.process !== process);
    this.#announce(process);
  }

  /**
   * Ends a process as `remove` does, and starts it again; resolves when it has started, or to its end
   * if it ends before that, after which it is tried again.
   */
  async restart(process: SupervisedProcess, time: EndingTime, signal: AbortSignal) {
    this.#setLeaving(process, true);
    const exit = await process.restart(time, signal);
    this.#setLeaving(process, false);
    return exit;
  }

  /** Resolves when every process has ended for good. */
  async ended(): Promise<void> {
    await Promise.all(this.#entries.map(({ run }) => run));
  }

  /** Puts a process behind the last one of its role. */
  #insert(entry: Entry): void {
    const { name } = entry.process.config.role;
    const last = this.#entries.findLastIndex(({ process }) => process.config.role.name === name);
    const at = last === -1 ? this.#entries.length : last + 1;
    this.#entries = this.#entries.toSpliced(at, 0, entry);
  }

  #setLeaving(process: SupervisedProcess, isLeaving: boolean): void {
    process.setLeaving(isLeaving);
    this.#announce(process);
  }

  /** Tells those that follow the role of a process that something has changed. */
  #announce({ config }: SupervisedProcess): void {
    for (const one of this.processes) one.tellMembers(config.role.name);
  }

  #membersOf(role: string): readonly Member[] {
    return this.#entries
      .filter(({ process, isMember }) => isMember && process.config.role.name === role)
      .flatMap(({ process }) => process.member ?? []);
  }

  #suspectsOf(role: string): Suspects {
    const suspects = this.#suspects.get(role) ?? new Suspects(backgroundClock);
    this.#suspects.set(role, suspects);
    return suspects;
  }
}
