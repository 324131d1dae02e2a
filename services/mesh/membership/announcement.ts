import { Changes } from '#mesh/async/changes.ts';
import { type Clock, systemClock } from '#mesh/async/clock.ts';
import type { Log } from '#mesh/log/log.ts';
import type { MetricRegistry } from '#mesh/metrics.ts';
import { INSTANCE_NAME, type InstanceStatus, VERSION } from '#mesh/process/instance.ts';
import { parseRegistry } from '#mesh/registry-url.ts';
import { InstanceState } from '#protos/autoglm/mesh/v1/instance.ts';
import { advertisedAddress } from './advertised-address.ts';
import { type InstanceRecord, type InstanceRole, rolePrefix } from './instance-record.ts';
import { Registration } from './registration.ts';

/** The options of a process that say where and how it is registered. */
export interface AnnouncementOptions {
  readonly registry?: string | undefined;
  readonly advertise?: string | undefined;
  readonly zone: string;
  readonly weight?: number;
}

/** What a registry may know of a process; it changes at `changes`. */
export interface Announced {
  readonly role: InstanceRole;
  /** `host:port` that the process listens on. */
  readonly address: string;
  /** Returns what it serves; undefined if it must not be asked. */
  readonly served: () => Served | undefined;
  readonly changes: Changes;
}

interface Surroundings {
  readonly log: Log;
  readonly clock?: Clock;
  /** Gets the gauge of the lease, where there is one. */
  readonly metrics: MetricRegistry;
}

type Served = Pick<InstanceRecord, 'models' | 'fingerprint' | 'device'>;

/** The presence of a process in a registry. */
export interface Announcement {
  /** Takes the process out of the registry. */
  close(): Promise<void>;
}

/**
 * Registers a process for as long as it can be asked. Kubernetes and DNS know the processes by
 * themselves.
 */
export function announce(
  { role, address, served, changes }: Announced,
  options: AnnouncementOptions,
  { log, clock = systemClock, metrics }: Surroundings,
): Announcement {
  const registry = options.registry === undefined ? undefined : parseRegistry(options.registry);
  if (registry?.kind !== 'etcd') return { close: async () => {} };
  const { advertise, zone, weight = 1 } = options;
  const fixed = { address: advertisedAddress({ address, advertise }, log), version: VERSION, zone };
  const record = (one: Served): InstanceRecord => ({ ...fixed, weight, ...one });
  const registration = new Registration({
    registry,
    key: `${rolePrefix(registry.prefix, role)}${INSTANCE_NAME}`,
    value: () => {
      const one = served();
      return one && JSON.stringify(record(one));
    },
    changes,
    log,
    clock,
  });
  const name = 'registry_lease_held';
  const help = 'Whether the registry keeps a lease for this process, 1 or 0.';
  metrics.show([{ name, help, read: () => Number(registration.hasLease) }]);
  return registration;
}

/** Registers a process while its status is READY. */
export function announceStatus(
  status: InstanceStatus,
  address: string,
  options: AnnouncementOptions,
  surroundings: Surroundings,
): Announcement {
  const served = () => {
    const { state, servedNames, fingerprint, device } = status.facts;
    if (state !== InstanceState.INSTANCE_STATE_READY) return undefined;
    return { models: [...servedNames], fingerprint, device };
  };
  const { changes, facts } = status;
  return announce({ role: facts.role, address, served, changes }, options, surroundings);
}

/** Registers a gateway, which can be asked from its start until it ends. */
export function announceGateway(
  address: string,
  options: AnnouncementOptions,
  surroundings: Surroundings,
): Announcement {
  const served = () => ({ models: [], fingerprint: '', device: '' });
  const announced: Announced = { role: 'gateway', address, served, changes: new Changes() };
  return announce(announced, options, surroundings);
}
