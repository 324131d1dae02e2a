import type { LookupAddress } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { ResolveHost } from './guarded-connect.ts';
import { hostsFileAddresses } from './hosts-file.ts';
import { searchNames } from './search-names.ts';

export interface HostLookupOptions {
  /** Time for one name, milliseconds. */
  readonly timeoutMs: number;
  /** Completes names by the system's search domains, which intranets use. */
  readonly searchesDomains: boolean;
  /** Name servers as address:port; the system's if unset. */
  readonly servers?: readonly string[];
  readonly hostsFile?: string;
  readonly resolverFile?: string;
}

/** Time for which the second address family is waited for once the first is known, milliseconds. */
const OTHER_FAMILY_MS = 200;

/** Codes of an answer that says that a name has no such address. */
const NO_ADDRESS: ReadonlySet<unknown> = new Set(['ENOTFOUND', 'ENODATA']);

/**
 * Returns a look-up that asks name servers itself. The system's own look-up (getaddrinfo) would
 * hold one of the few threads of the process until a server has answered, so that names that nobody
 * answers would stop all others; this one holds a socket, and only for its time.
 */
export function createHostLookup(options: HostLookupOptions): ResolveHost {
  const { hostsFile = '/etc/hosts', resolverFile = '/etc/resolv.conf', searchesDomains } = options;
  return async (hostname) => {
    const local = hostsFileAddresses(await textOf(hostsFile), hostname);
    if (local.length > 0) return local;
    const names = searchesDomains ? searchNames(await textOf(resolverFile), hostname) : [hostname];
    return await firstKnown(names, options);
  };
}

/** Returns the addresses of the first of the names that has any. */
async function firstKnown(
  names: readonly string[],
  { timeoutMs, servers }: HostLookupOptions,
): Promise<readonly LookupAddress[]> {
  const resolver = new Resolver({ timeout: Math.ceil(timeoutMs / 2), tries: 2 });
  if (servers !== undefined) resolver.setServers(servers);
  const timer = setTimeout(() => resolver.cancel(), timeoutMs);
  try {
    for (const name of names) {
      const addresses = await addressesOf(name, resolver);
      if (addresses.length > 0) return addresses;
    }
    return [];
  } finally {
    clearTimeout(timer);
    resolver.cancel();
  }
}

/** Returns a name's addresses; of two families, the second only if it comes soon after the first. */
async function addressesOf(name: string, resolver: Resolver): Promise<readonly LookupAddress[]> {
  const four: LookupAddress[] = [];
  const six: LookupAddress[] = [];
  const asking = [
    resolver.resolve4(name).then((all) => four.push(...all.map(ofFamily(4)))),
    resolver.resolve6(name).then((all) => six.push(...all.map(ofFamily(6)))),
  ];
  try {
    await Promise.any(asking);
  } catch (error: unknown) {
    const failures: unknown[] = error instanceof AggregateError ? error.errors : [error];
    const fault = failures.find((failure) => !saysNoAddress(failure));
    if (fault === undefined) return [];
    throw fault;
  }
  await Promise.race([Promise.allSettled(asking), delay(OTHER_FAMILY_MS)]);
  return [...four, ...six];
}

const ofFamily =
  (family: number) =>
  (address: string): LookupAddress => ({ address, family });

/** Tells whether a failed query was answered: the name has no address of that family. */
function saysNoAddress(failure: unknown): boolean {
  return failure instanceof Error && 'code' in failure && NO_ADDRESS.has(failure.code);
}

/** Returns the text of a file of the system; "" if it cannot be read. */
function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
