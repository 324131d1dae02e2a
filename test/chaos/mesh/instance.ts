import { setTimeout as delay } from 'node:timers/promises';
import { MeshError } from '#mesh/errors.ts';
import type { FaultProxy } from '#test/chaos/fault-proxy.ts';
import type { KeptProcess } from './kept-process.ts';

/** A role of the processes that requests go through. */
export type ProcessRole = 'llm-backbone' | 'vision-encoder' | 'speech-encoder' | 'gateway';
export type InstanceRole = ProcessRole | 'registry';

/**
 * Longest wait for a process to be ready again, ms: one that starts while the registry is cut off
 * waits for that, too.
 */
const READY_BOUND_MS = 120_000;
const READY_LOOK_MS = 100;

export interface InstanceParts {
  readonly name: string;
  readonly role: InstanceRole;
  readonly port: number;
  readonly process: KeptProcess;
  /** Asks the process itself, around all proxies, whether it is ready. */
  readonly isReady: () => Promise<boolean>;
  /** Proxies on the way to it. */
  readonly links: readonly FaultProxy[];
  /**
   * Returns the instances that ask it; a gateway is asked by nginx, and who asks the registry does
   * not matter.
   */
  readonly askers: () => readonly Instance[];
}

/** Name of the asker of a gateway. */
export const NGINX = 'nginx';

/**
 * One process of the mesh under test. It is healthy if nothing is being done to it and everybody who
 * asks it has sent it something since: a process that runs again may not be known to run yet.
 */
export class Instance {
  readonly name: string;
  readonly role: InstanceRole;
  /** Port on 127.0.0.1 on which it listens itself. */
  readonly port: number;
  readonly process: KeptProcess;
  readonly links: readonly FaultProxy[];
  readonly #isReady: () => Promise<boolean>;
  readonly #askers: () => readonly Instance[];
  /** Time of the last request of each asker, ms. */
  readonly #usedMs = new Map<string, number>();
  #numFaults = 0;
  #recoveredMs = 0;

  constructor({ name, role, port, process, links, isReady, askers }: InstanceParts) {
    this.name = name;
    this.role = role;
    this.port = port;
    this.process = process;
    this.links = links;
    this.#isReady = isReady;
    this.#askers = askers;
  }

  /** Address on which it listens itself. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Whether a fault is being done to it. */
  get isTouched(): boolean {
    return this.#numFaults > 0;
  }

  get isHealthy(): boolean {
    if (this.isTouched) return false;
    if (this.role === 'gateway') return this.#isUsedBy(NGINX, 0);
    return this.#askers()
      .filter((asker) => !asker.isTouched)
      .every((asker) => this.#isUsedBy(asker.name, asker.#recoveredMs));
  }

  /** Notes that an asker has sent it a request. */
  noteUse(asker: string): void {
    this.#usedMs.set(asker, performance.now());
  }

  /** Does a fault; the instance counts as touched until it is over and the process ready again. */
  async suffer(fault: (instance: Instance) => Promise<void>): Promise<void> {
    this.#numFaults += 1;
    try {
      await fault(this);
      await this.ready();
    } finally {
      this.#numFaults -= 1;
      this.#recoveredMs = performance.now();
    }
  }

  /** Resolves when the process is ready; rejects if it is not in time, or the signal aborts. */
  async ready(signal?: AbortSignal): Promise<void> {
    const endMs = performance.now() + READY_BOUND_MS;
    while (!(await this.#isReady())) {
      if (performance.now() > endMs) {
        const { logPath } = this.process.plan;
        const what = `${this.name} was not ready within ${READY_BOUND_MS / 1000} s; see ${logPath}`;
        throw new MeshError('ENGINE_FAILED', what);
      }
      await delay(READY_LOOK_MS, undefined, { signal });
    }
  }

  #isUsedBy(asker: string, sinceMs: number): boolean {
    return (this.#usedMs.get(asker) ?? -1) > Math.max(sinceMs, this.#recoveredMs);
  }
}
