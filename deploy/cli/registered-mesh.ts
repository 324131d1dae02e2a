import { pino } from 'pino';
import { systemClock } from '#mesh/async/clock.ts';
import { withDeadline } from '#mesh/async/deadline.ts';
import { MeshError } from '#mesh/errors.ts';
import { differenceIn } from '#mesh/membership/census.ts';
import { readCensus } from '#mesh/membership/controller.ts';
import type { InstanceRole } from '#mesh/membership/instance-record.ts';
import { openMembership } from '#mesh/membership/open-membership.ts';
import { parseRegistry, type RegistryAddress, registryTitle } from '#mesh/registry-url.ts';
import type { MeshProcess } from '../local/mesh-state.ts';
import { GATEWAY } from '../local/roles.ts';

/** Longest wait for the list of a role's processes, milliseconds. */
const LIST_LIMIT_MS = 3000;

const SERVING_ROLES: readonly InstanceRole[] = ['llm-backbone', 'vision-encoder', 'speech-encoder'];

/**
 * Returns the processes that a registry lists, by role. Gateways register in etcd only. Throws
 * NO_READY_ENDPOINT if the registry does not answer.
 */
export async function registeredProcesses(registry: string): Promise<readonly MeshProcess[]> {
  const address = parseRegistry(registry);
  const roles: readonly InstanceRole[] =
    address.kind === 'etcd' ? [...SERVING_ROLES, 'gateway'] : SERVING_ROLES;
  const lists = await Promise.all(roles.map((role) => listOf(role, registry, address)));
  return lists.flat();
}

/** Returns what the controller says of models whose replicas differ, one line each. */
export async function differingModels(registry: string): Promise<readonly string[]> {
  const address = parseRegistry(registry);
  if (address.kind !== 'etcd') return [];
  const census = await readCensus(address, new AbortController().signal);
  return Object.keys(census).flatMap((model) => differenceIn(census, model) ?? []);
}

async function listOf(
  role: InstanceRole,
  registry: string,
  address: RegistryAddress,
): Promise<MeshProcess[]> {
  const late = () => {
    const why = `${registryTitle(address)} has listed no processes of role ${role} within ${LIST_LIMIT_MS / 1000} s`;
    return new MeshError('NO_READY_ENDPOINT', `${why}; see the flag --registry`);
  };
  const surroundings = { log: pino({ enabled: false }), clock: systemClock };
  const membership = openMembership({ registry, addresses: [] }, role, surroundings);
  const first = async (signal: AbortSignal) => {
    for await (const members of membership(signal)) return members.map((one) => one.address);
    throw late();
  };
  const limit = { signal: new AbortController().signal, limitMs: LIST_LIMIT_MS };
  const addresses = await withDeadline(first, { ...limit, clock: systemClock, late });
  return addresses.sort().map((one, index) => ({
    name: index === 0 ? role : `${role}-${index + 1}`,
    role,
    address: role === GATEWAY.name ? `http://${one}` : one,
  }));
}
