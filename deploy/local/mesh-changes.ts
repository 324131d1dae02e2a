import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { didYouMean } from '#mesh/nearest-name.ts';
import { keptPorts } from './config/addresses.ts';
import type { MeshConfig, MeshPlan, ProcessConfig } from './config/config.ts';
import { type ReplicaCounts, readCount } from './config/replicas.ts';
import type { ControlRequest, ProcessReport } from './control/control-protocol.ts';
import { addressOf } from './mesh-state.ts';
import { claimPorts, portsTaken } from './ports.ts';
import type { Exit } from './process-run.ts';
import type { SupervisedProcess } from './supervised-process.ts';
import { endingTimeOf, refusedToStart, type Supervisor } from './supervisor.ts';
import { meshReady } from './whole-readiness.ts';

/** Milliseconds from the start of a process until all others must be able to ask it. */
const READY_LIMIT_MS = 60_000;

const SEE_LOG = "see the mesh's log";
const LEFT = 'it is tried again, and what comes after it was left as it is';

type Say = (text: string) => void;

export interface MeshChangesOptions {
  readonly supervisor: Supervisor;
  readonly plan: MeshPlan;
  readonly log: Log;
  /** Called when processes were added or taken away. */
  readonly onChange: () => Promise<void>;
}

/** Changes the processes of a running mesh, one change at a time. */
export class MeshChanges {
  readonly #options: MeshChangesOptions;
  /** Numbers of processes that were asked for since the start. */
  #counts: ReplicaCounts = new Map();
  #isChanging = false;

  constructor(options: MeshChangesOptions) {
    this.#options = options;
  }

  /** Carries out a command; resolves to the processes after it. */
  async carryOut(request: ControlRequest, say: Say): Promise<readonly ProcessReport[]> {
    switch (request.command) {
      case 'status':
        break;
      case 'scale':
        await this.#alone(() => this.#scale(this.#readCounts(request.replicas), say));
        break;
      case 'restart':
        await this.#alone(() => this.#restart(this.#named(request.name), say));
    }
    return this.#list.processes.map(reportOf);
  }

  get #list() {
    return this.#options.supervisor.list;
  }

  get #stopping() {
    return this.#options.supervisor.stopping;
  }

  async #alone(work: () => Promise<void>): Promise<void> {
    const { supervisor } = this.#options;
    if (this.#isChanging) throw refused('another change is under way; wait for its end');
    if (!supervisor.isReady) throw refused('the mesh is still starting; wait until it is ready');
    this.#isChanging = true;
    try {
      await work();
    } catch (error: unknown) {
      if (this.#stopping.aborted) throw refused('the mesh was told to end');
      throw error;
    } finally {
      this.#isChanging = false;
    }
  }

  /** Checks the names and the numbers of a request to scale. */
  #readCounts(replicas: Readonly<Record<string, unknown>>): ReplicaCounts {
    const entries = Object.entries(replicas);
    if (entries.length === 0) throw refused('say which processes, such as llm-backbone=2');
    return new Map(
      entries.map(([name, count]) => {
        const role = this.#options.plan.roles.find((one) => one.name === name);
        if (role === undefined) throw unknownName('role', name, this.#roleNames());
        return [name, readCount(role, count, name)];
      }),
    );
  }

  #roleNames(): string[] {
    return this.#options.plan.roles.map(({ name }) => name);
  }

  /** Starts what lacks, all of it or nothing; then takes away what is too much. */
  async #scale(wanted: ReplicaCounts, say: Say): Promise<void> {
    const counts = new Map([...this.#counts, ...wanted]);
    const planned = await this.#planned(counts, wanted);
    const names = new Set(planned.processes.map(({ name }) => name));
    const added = planned.processes.filter(({ name }) => this.#list.find(name) === undefined);
    const removed = this.#list.processes.filter(({ name }) => !names.has(name));
    await this.#add(added, say);
    this.#counts = counts;
    for (const config of planned.processes) this.#list.find(config.name)?.reconfigure(config);
    await this.#options.onChange();
    if (added.length > 0) await this.#ready('the mesh is scaled');
    await Promise.all(removed.map((process) => this.#remove(process, say)));
    await this.#options.onChange();
  }

  /** Plans the mesh with other numbers; what is added gets ports that nobody listens on. */
  async #planned(counts: ReplicaCounts, wanted: ReplicaCounts): Promise<MeshConfig> {
    const kept = keptPorts(this.#list.processes.map(({ config }) => config));
    const foreign = new Set<number>();
    for (;;) {
      const planned = this.#options.plan.changed({ counts, ports: { kept, foreign } });
      this.#requireScalable(wanted, planned);
      const added = planned.processes.filter(({ name }) => !kept.has(name));
      const taken = await portsTaken(added);
      // A port that the configuration fixes stays the same, and is refused in words of its own.
      if (taken.every((port) => foreign.has(port))) {
        await claimPorts(added, { log: this.#options.log, signal: this.#stopping });
        return planned;
      }
      for (const port of taken) foreign.add(port);
    }
  }

  /** Refuses processes that this mesh cannot have, or that nobody would ask. */
  #requireScalable(wanted: ReplicaCounts, { processes }: MeshConfig): void {
    for (const [name, count] of wanted) {
      const planned = processes.filter(({ role }) => role.name === name).length;
      if (planned !== count) {
        throw refused(`the model needs no ${name} here, or the configuration names one elsewhere`);
      }
      const isUsed = this.#list.ofRole(name).length > 0 || this.#counts.has(name);
      if (count > 0 && !isUsed) {
        throw refused(`this mesh was started without a ${name}; start it anew with one`);
      }
    }
  }

  /** Starts processes; if one refuses to start, all of them are taken away again. */
  async #add(configs: readonly ProcessConfig[], say: Say): Promise<void> {
    const started = configs.map((config) => {
      say(`${config.name} starts at ${addressOf(config)}`);
      return this.#list.start(config, { isMember: false });
    });
    const exits = await Promise.all(
      started.map(({ process, run }) => this.#startOf(process, run, say)),
    );
    const failures = started.flatMap(({ process }, i) => {
      const exit = exits[i];
      return exit === undefined ? [] : [refusedToStart(process, exit, SEE_LOG)];
    });
    if (failures[0] !== undefined || this.#stopping.aborted) {
      await Promise.all(started.map(({ process }) => this.#remove(process, say)));
      throw failures[0] ?? refused('the mesh was told to end');
    }
    for (const { process } of started) this.#list.join(process);
  }

  /** Waits until a process has started; returns its end if it refuses to. */
  async #startOf(process: SupervisedProcess, run: Promise<Exit>, say: Say) {
    const started = process.started(this.#stopping).then(() => undefined);
    const exit = await Promise.race([started, run]);
    if (exit === undefined) say(`${process.name} has started`);
    return exit;
  }

  async #remove(process: SupervisedProcess, say: Say): Promise<void> {
    say(`${process.name} is taken away; its running requests finish first`);
    await this.#list.remove(process, endingTimeOf(process));
    say(`${process.name} has ended`);
  }

  /** Finds the processes that a command names. */
  #named(name: string): readonly SupervisedProcess[] {
    if (name === '') return this.#list.processes;
    const ofRole = this.#list.ofRole(name);
    if (ofRole.length > 0) return ofRole;
    const found = this.#list.find(name) ?? this.#firstNamed(name);
    if (found !== undefined) return [found];
    const known = this.#list.processes.map((one) => one.name);
    throw unknownName('process', name, [...new Set([...known, ...this.#roleNames()])]);
  }

  /** Finds the first process of a role, whose own name means the role here, by `llm-backbone-1`. */
  #firstNamed(name: string): SupervisedProcess | undefined {
    return this.#list.processes.find(
      (one) => one.name === one.config.role.name && `${one.name}-1` === name,
    );
  }

  /** Restarts processes one after the other, each when the mesh is ready with the last. */
  async #restart(processes: readonly SupervisedProcess[], say: Say): Promise<void> {
    for (const process of processes) {
      say(`${process.name} finishes its running requests, then starts again`);
      const exit = await this.#list.restart(process, endingTimeOf(process), this.#stopping);
      if (exit !== undefined) throw refusedToStart(process, exit, `${SEE_LOG}; ${LEFT}`);
      await this.#ready(`${process.name} has started again`);
      say(`${process.name} is ready again`);
    }
  }

  async #ready(what: string): Promise<void> {
    const limit = AbortSignal.timeout(READY_LIMIT_MS);
    const signal = AbortSignal.any([this.#stopping, limit]);
    try {
      await meshReady(this.#list, signal);
      signal.throwIfAborted();
    } catch (error: unknown) {
      if (!limit.aborted || this.#stopping.aborted) throw error;
      const wait = `${READY_LIMIT_MS / 1000} s`;
      throw refused(`${what}, but was not ready within ${wait}; "autoglm status" says what is not`);
    }
  }
}

/** Describes a process for a command. */
function reportOf(one: SupervisedProcess): ProcessReport {
  const { config, name, standing: state, progress, pid = 0, numRestarts } = one;
  const { name: role } = config.role;
  const address = addressOf(config);
  const metrics = one.metricsAddress;
  return { name, role, address, state, progress, pid, numRestarts, metrics };
}

function refused(message: string): MeshError {
  return new MeshError('INVALID_REQUEST', message);
}

function unknownName(what: string, name: string, known: readonly string[]): MeshError {
  const hint = didYouMean(name, known) || `; there are ${known.join(', ')}`;
  return refused(`no ${what} "${name}"${hint}`);
}
