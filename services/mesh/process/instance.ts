import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Changes } from '#mesh/async/changes.ts';
import { type Clock, systemClock } from '#mesh/async/clock.ts';
import type { MetricRegistry } from '#mesh/metrics.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import {
  type EncoderReadiness,
  type InstanceLoad,
  InstanceServiceDefinition,
  type InstanceServiceImplementation,
  InstanceState,
  type Numerics,
  type WatchResponse,
} from '#protos/autoglm/mesh/v1/instance.ts';
import { StatusBroadcast } from './status-broadcast.ts';

export const INSTANCE_SERVICE = InstanceServiceDefinition.fullName;

/** The software's version, read from package.json. */
export const VERSION = readVersion();

/** Distinguishes this run of the process from an earlier one at the same address. */
export const INSTANCE_NAME = `${hostname()}-${randomBytes(4).toString('hex')}`;

function readVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8'));
  const isManifest = typeof parsed === 'object' && parsed !== null && 'version' in parsed;
  if (!isManifest) throw new Error('package.json has no version');
  return String(parsed.version);
}

/** The facts a process reports about itself; those that are unknown stay empty. */
export interface InstanceFacts {
  readonly role: 'llm-backbone' | 'vision-encoder' | 'speech-encoder';
  readonly state: InstanceState;
  /** Reason in words if the state is not READY. */
  readonly detail: string;
  readonly device: string;
  readonly modelId: string;
  readonly servedNames: readonly string[];
  readonly fingerprint: string;
  readonly numerics: Numerics;
}

/** Facts that are read whenever a message is written. */
export interface LiveFacts {
  readonly load: () => InstanceLoad;
  /** Returns the encoders that this process asks. */
  readonly encoders?: () => EncoderReadiness[];
}

/** Holds the state of this process, in one place; watchers are told of every change. */
export class InstanceStatus {
  /** Changes of the facts, load excepted. */
  readonly changes = new Changes();
  readonly #live: LiveFacts;
  #facts: InstanceFacts;
  /** Milliseconds from the start of the process until it could serve; 0 until then. */
  #startMs = 0;

  constructor(facts: InstanceFacts, live: LiveFacts) {
    this.#facts = facts;
    this.#live = live;
  }

  get facts(): InstanceFacts {
    return this.#facts;
  }

  change(facts: Partial<InstanceFacts>): void {
    this.#facts = { ...this.#facts, ...facts };
    if (facts.state === InstanceState.INSTANCE_STATE_READY && this.#startMs === 0) {
      this.#startMs = Math.ceil(process.uptime() * 1000);
    }
    this.changes.notify();
  }

  get load(): InstanceLoad {
    return this.#live.load();
  }

  /** Returns the message with all facts for watchers. */
  message(): WatchResponse {
    const { device: _, servedNames, ...facts } = this.#facts;
    return {
      ...facts,
      loadOnly: false,
      servedNames: [...servedNames],
      instanceName: INSTANCE_NAME,
      version: VERSION,
      load: this.load,
      encoders: this.#live.encoders?.() ?? [],
      startMs: this.#startMs,
    };
  }
}

/** Serves the status and the metrics of this process. */
export function createInstanceService(
  status: InstanceStatus,
  metrics: MetricRegistry,
  clock: Clock = systemClock,
): InstanceServiceImplementation {
  const broadcast = new StatusBroadcast(status, clock);
  return {
    getStatus: async () => {
      const { servedNames: _, numerics, ...facts } = status.facts;
      return {
        ...facts,
        isa: numerics.isa,
        version: VERSION,
        load: status.load,
        pid: process.pid,
        uptimeMs: BigInt(Math.round(process.uptime() * 1000)),
      };
    },
    getMetrics: async () => ({ families: metrics.collect() }),
    watch: (_, { signal }) => broadcast.watch(signal),
  };
}
