import { setTimeout as delay } from 'node:timers/promises';
import { Changes } from '#mesh/async/changes.ts';
import type { Log } from '#mesh/log/log.ts';
import { type Member, memberAt } from '#mesh/peers/membership.ts';
import type { ProcessConfig } from './config/config.ts';
import { JournalFile } from './journal-file.ts';
import { cannotStart, describeExit, type Exit, ProcessRun, wasAsked } from './process-run.ts';
import { planRestart, type RestartPolicy } from './restart-policy.ts';
import type { Suspects } from './suspects.ts';

/**
 * Milliseconds within which a service manager signals all processes of a mesh and the supervisor.
 */
const SIGNALLED_TOGETHER_MS = 500;

export interface SupervisionOptions {
  readonly log: Log;
  readonly policy: RestartPolicy;
  /** Suspected content of the process's role. */
  readonly suspects: Suspects;
  /** Returns the members of a role, for a process that follows it. */
  readonly membersOf: (role: string) => readonly Member[];
  /** Aborts when the whole mesh is to end. */
  readonly meshStopping: AbortSignal;
}

/** The time that a process has to end, in milliseconds. */
export interface EndingTime {
  /** Time for its running work. */
  readonly drainMs: number;
  /** Time after which it is killed, at least `drainMs`. */
  readonly killMs: number;
}

/**
 * What a process does as its supervisor sees it: it starts (again), has started, or was told to end.
 */
export type Standing = 'starting' | 'running' | 'ending';

/**
 * One process of the mesh. Once it has started, it is started again when it dies, until it is told
 * to stop; an end before that is a refusal to start.
 */
export class SupervisedProcess {
  /** Changes of its standing. */
  readonly changes = new Changes();
  readonly #options: SupervisionOptions;
  readonly #stopping = new AbortController();
  readonly #journal = new JournalFile();
  #config: ProcessConfig;
  #hasStarted = false;
  #standing: Standing = 'starting';
  #isLeaving = false;
  /** Whether the run that ends is to be followed by another at once. */
  #isRestarting = false;
  #run: ProcessRun | undefined;
  /** The end of its last run; undefined while it is the first. */
  #lastExit: Exit | undefined;
  #numRestarts = 0;
  #metricsAddress = '';

  constructor(config: ProcessConfig, options: SupervisionOptions) {
    this.#config = config;
    this.#options = options;
    options.suspects.onChange(() => this.#run?.tellSuspects());
  }

  get config(): ProcessConfig {
    return this.#config;
  }

  get name(): string {
    return this.#config.name;
  }

  /** Id of the process; undefined while it waits to be started again. */
  get pid(): number | undefined {
    return this.#run?.pid;
  }

  get standing(): Standing {
    return this.#standing;
  }

  /** How far its start has come, in words; '' if there is nothing to say. */
  get progress(): string {
    return this.#run?.progress ?? '';
  }

  /** Times that it was started again. */
  get numRestarts(): number {
    return this.#numRestarts;
  }

  /** Where it shows its metrics, or did when it was last there, `host:port`; '' if nowhere. */
  get metricsAddress(): string {
    return this.#metricsAddress;
  }

  /** The process as those see it that ask it; undefined if nobody asks it over the network. */
  get member(): Member | undefined {
    const { listen } = this.#config.values;
    if (typeof listen !== 'string') return undefined;
    return { ...memberAt(listen), isLeaving: this.#isLeaving };
  }

  /** Gives it other options, from its next start on. */
  reconfigure(config: ProcessConfig): void {
    this.#config = config;
  }

  /** Notes whether it is about to end, so that nobody asks it anything new. */
  setLeaving(isLeaving: boolean): void {
    this.#isLeaving = isLeaving;
  }

  /** Tells the process the members of a role if it follows that. */
  tellMembers(role: string): void {
    this.#run?.tellMembers(role);
  }

  /** Resolves when the process has started, at once if it has; also when the signal aborts. */
  async started(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const seen = this.changes.count;
      if (this.#standing === 'running') return;
      await this.changes.after(seen, { signal });
    }
  }

  /** Keeps the process running; resolves to its last exit: it was stopped, or refused to start. */
  async run(): Promise<Exit> {
    const { policy, meshStopping } = this.#options;
    const { signal } = this.#stopping;
    let numFailures = 0;
    for (;;) {
      const exit = await this.#runOnce();
      if (exit.signal === 'SIGTERM') await this.#signalledTogether();
      if (signal.aborted || meshStopping.aborted || !this.#hasStarted) return exit;
      if (this.#isRestarting) {
        this.#isRestarting = false;
        this.#options.log.info(`${this.name} ${describeExit(exit)}; starting it again`);
      } else {
        const { uptimeMs } = exit;
        const restart = planRestart(policy, { numFailures, uptimeMs, random: Math.random() });
        numFailures = restart.numFailures;
        this.#announce(exit, restart);
        await delay(restart.delayMs, undefined, { signal }).catch(ignoreAbort);
        if (signal.aborted) return exit;
      }
      this.#numRestarts += 1;
    }
  }

  /** Asks the process to drain and end; kills it if it does not. */
  async stop(time: EndingTime): Promise<void> {
    this.#stopping.abort();
    await this.#end(time);
  }

  /**
   * Asks the process to drain and end, kills it if it does not, and starts it again; does not end one
   * that waits for its next start. Resolves when it has started again, to its end if that comes
   * before, or when the signal aborts.
   */
  async restart(time: EndingTime, signal: AbortSignal): Promise<Exit | undefined> {
    this.#isRestarting = this.#run !== undefined;
    await this.#end(time);
    const before = this.#lastExit;
    while (!signal.aborted) {
      const seen = this.changes.count;
      if (this.#standing === 'running') return undefined;
      if (this.#lastExit !== before) return this.#lastExit;
      await this.changes.after(seen, { signal });
    }
    return undefined;
  }

  /** Lets the process open its log anew, after its file was moved away. */
  reopenLog(): void {
    this.#run?.tellReopenLog();
  }

  /** Ends the running work, whose callers are told, and then the process. */
  hasten(): void {
    this.#stopping.abort();
    this.#run?.drain(0);
  }

  /** Ends the process at once. */
  kill(): void {
    this.#stopping.abort();
    this.#run?.kill();
  }

  async #end({ drainMs, killMs }: EndingTime): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    this.#enter('ending');
    run.drain(drainMs);
    run.terminate();
    const timer = setTimeout(() => {
      this.#options.log.warn(`${this.name} did not end in time; killing it`);
      run.kill();
    }, killMs);
    await run.ended;
    clearTimeout(timer);
  }

  async #runOnce(): Promise<Exit> {
    this.#enter('starting');
    this.#run = this.#begin();
    const exit = (await this.#run?.ended) ?? { code: 1, signal: null, uptimeMs: 0 };
    // Whoever waits for the end of this run sees it ended.
    this.#run = undefined;
    this.#lastExit = exit;
    this.#enter('starting');
    return exit;
  }

  /** Begins a run; undefined if the system refuses one at once, such as for want of memory. */
  #begin(): ProcessRun | undefined {
    const { log, suspects, membersOf } = this.#options;
    try {
      const run = new ProcessRun(this.#config, {
        log,
        suspects,
        membersOf,
        journal: this.#journal,
        numRestarts: this.#numRestarts,
        onStarted: () => this.#onStarted(run),
        onMetrics: (address) => {
          this.#metricsAddress = address;
        },
        onSignalled: () => void this.#onSignalled(run),
      });
      return run;
    } catch (err: unknown) {
      log.error({ err }, cannotStart(this.name));
      return undefined;
    }
  }

  #onStarted(run: ProcessRun): void {
    this.#hasStarted = true;
    // What was told before may have come before the process could hear it.
    if (run.isDraining) run.drain();
    else this.#enter('running');
  }

  #enter(standing: Standing): void {
    this.#standing = standing;
    this.changes.notify();
  }

  #announce(exit: Exit, { delayMs, numFailures }: ReturnType<typeof planRestart>): void {
    const { log } = this.#options;
    const what = `${this.name} ${describeExit(exit)}`;
    const wait = `starting it again in ${(delayMs / 1000).toFixed(2)} s`;
    if (wasAsked(exit)) log.info(`${what}; ${wait}`);
    else log.error(`${what}; ${wait} (failure ${numFailures} in a row)`);
  }

  /**
   * Drains a signalled process if it alone was signalled; otherwise `stop` drains it in its turn.
   */
  async #onSignalled(run: ProcessRun): Promise<void> {
    if (run.isDraining) return;
    if (!(await this.#signalledTogether()) && !run.isDraining) run.drain();
  }

  /** Tells whether the whole mesh is told to end at about this time. */
  async #signalledTogether(): Promise<boolean> {
    const signal = this.#options.meshStopping;
    await delay(SIGNALLED_TOGETHER_MS, undefined, { signal }).catch(ignoreAbort);
    return signal.aborted;
  }
}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) throw error;
}
