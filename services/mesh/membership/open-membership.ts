import type { Clock } from '#mesh/async/clock.ts';
import type { Log } from '#mesh/log/log.ts';
import type { Membership } from '#mesh/peers/membership.ts';
import { parseRegistry, type RegistryAddress } from '#mesh/registry-url.ts';
import { dnsMembership } from './dns-membership.ts';
import { etcdMembership } from './etcd-membership.ts';
import type { InstanceRole } from './instance-record.ts';
import { kubernetesMembership } from './kubernetes-membership.ts';
import { staticMembership } from './static-membership.ts';
import { isToldOf, supervisedMembership } from './supervised-membership.ts';
import { unitedMembership } from './united-membership.ts';

/** Where the processes of a role are named. */
export interface MembershipSources {
  /** Address of a registry, as the option has it. */
  readonly registry?: string | undefined;
  /** Addresses of the configuration. */
  readonly addresses: readonly string[];
}

interface Surroundings {
  readonly log: Log;
  readonly clock: Clock;
}

/**
 * Opens the set of a role's processes: those of the configuration, or that the supervisor tells
 * instead, and those of the registry.
 */
export function openMembership(
  { registry, addresses }: MembershipSources,
  role: InstanceRole,
  surroundings: Surroundings,
): Membership {
  const isTold = isToldOf(role);
  const named = isTold ? supervisedMembership(role) : staticMembership(addresses);
  if (registry === undefined) return named;
  const listed = registryMembership(parseRegistry(registry), role, surroundings);
  return addresses.length === 0 && !isTold ? listed : unitedMembership([named, listed]);
}

/**
 * Tells whether the entries of a registry end by themselves when their processes do not reach it,
 * even if their peers do.
 */
export function endsByLease({ registry }: Pick<MembershipSources, 'registry'>): boolean {
  return registry !== undefined && parseRegistry(registry).kind === 'etcd';
}

function registryMembership(
  registry: RegistryAddress,
  role: InstanceRole,
  surroundings: Surroundings,
): Membership {
  switch (registry.kind) {
    case 'etcd':
      return etcdMembership(registry, role, surroundings);
    case 'kubernetes':
      return kubernetesMembership(registry, role, surroundings);
    case 'dns':
      return dnsMembership(registry, role, surroundings);
  }
}
