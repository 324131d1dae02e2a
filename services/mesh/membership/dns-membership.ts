import { Resolver } from 'node:dns/promises';
import type { Clock } from '#mesh/async/clock.ts';
import { pause } from '#mesh/async/pause.ts';
import type { Log } from '#mesh/log/log.ts';
import { Outage } from '#mesh/log/outage.ts';
import { type Member, type Membership, memberAt } from '#mesh/peers/membership.ts';
import { type DnsRegistry, nameOfRole } from '#mesh/registry-url.ts';
import type { InstanceRole } from './instance-record.ts';

/** Bounds of the time between two look-ups, seconds; within them it is what the records say. */
const MIN_INTERVAL_S = 1;
const MAX_INTERVAL_S = 5;

/** Longest wait for an answer of the name servers, milliseconds. */
const LOOKUP_LIMIT_MS = 2000;

/** Codes of an answer that says that a name has no such record. */
const NO_RECORD: ReadonlySet<unknown> = new Set(['ENOTFOUND', 'ENODATA']);

export interface DnsSurroundings {
  readonly log: Log;
  readonly clock: Clock;
  /** Name servers as address:port; unset: the system's. */
  readonly servers?: readonly string[];
}

/** Members that a name stands for, and seconds for which that holds. */
interface LookUp {
  readonly members: readonly Member[];
  readonly ttlS: number;
}

/**
 * Yields the processes of a role that a domain name stands for, by looking it up again and again.
 * While the name servers do not answer, the last list stays.
 */
export function dnsMembership(
  registry: DnsRegistry,
  role: InstanceRole,
  { log, clock, servers }: DnsSurroundings,
): Membership {
  const name = nameOfRole(registry.name, role);
  return async function* members(signal) {
    const outage = new Outage(log, clock);
    let last: string | undefined;
    while (!signal.aborted) {
      let ttlS = MIN_INTERVAL_S;
      try {
        const found = await lookUp(name, registry.port, { servers, signal });
        outage.over(`the name ${name} can be looked up again`);
        ttlS = found.ttlS;
        const list = JSON.stringify(found.members);
        if (list !== last) yield found.members;
        last = list;
      } catch (error: unknown) {
        if (signal.aborted) return;
        const what =
          last === undefined ? 'its processes are not known yet' : 'its list stays as it was';
        outage.failed(`the name ${name} cannot be looked up: ${what}`, error);
      }
      const intervalS = Math.min(MAX_INTERVAL_S, Math.max(MIN_INTERVAL_S, ttlS));
      await pause(intervalS * 1000, { signal, clock });
    }
  };
}

async function lookUp(
  name: string,
  port: number | undefined,
  {
    servers,
    signal,
  }: { readonly servers?: readonly string[] | undefined; readonly signal: AbortSignal },
): Promise<LookUp> {
  const resolver = new Resolver({ timeout: LOOKUP_LIMIT_MS / 2, tries: 2 });
  if (servers !== undefined) resolver.setServers(servers);
  const cancel = () => resolver.cancel();
  signal.addEventListener('abort', cancel);
  const timer = setTimeout(cancel, LOOKUP_LIMIT_MS);
  try {
    return port === undefined
      ? await services(resolver, name)
      : await addresses(resolver, name, port);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', cancel);
  }
}

/** Looks up SRV records, which name host, port and weight of each process. */
async function services(resolver: Resolver, name: string): Promise<LookUp> {
  const records = await resolver.resolveSrv(name).catch(noRecords);
  const members = records.map(({ name: host, port, weight }) => ({
    ...memberAt(`${host}:${port}`),
    weight: Math.max(1, weight),
  }));
  return { members: inOrder(members), ttlS: MAX_INTERVAL_S };
}

/** Looks up A and AAAA records, which name the address of each process. */
async function addresses(resolver: Resolver, name: string, port: number): Promise<LookUp> {
  const [four, six] = await Promise.all([
    resolver.resolve4(name, { ttl: true }).catch(noRecords),
    resolver.resolve6(name, { ttl: true }).catch(noRecords),
  ]);
  const members = [
    ...four.map(({ address }) => memberAt(`${address}:${port}`)),
    ...six.map(({ address }) => memberAt(`[${address}]:${port}`)),
  ];
  return { members: inOrder(members), ttlS: Math.min(...[...four, ...six].map(({ ttl }) => ttl)) };
}

/** Returns no records if that is the answer; throws if there was none. */
function noRecords(failure: unknown): [] {
  if (failure instanceof Error && 'code' in failure && NO_RECORD.has(failure.code)) return [];
  throw failure;
}

/** Servers answer in changing order, which is no change. */
function inOrder(members: readonly Member[]): readonly Member[] {
  return [...members].sort((a, b) => a.address.localeCompare(b.address));
}
