import { networkInterfaces } from 'node:os';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { parseHostPort } from '#mesh/port-probe.ts';

/** Addresses of a machine, as `os.networkInterfaces()` names them. */
export type Interfaces = ReturnType<typeof networkInterfaces>;

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::', '0:0:0:0:0:0:0:0']);
const LOOPBACK = /^(?:127\.|localhost$|::1$)/;

export interface Listening {
  /** `host:port` that is listened on. */
  readonly address: string;
  /** `host:port` of the configuration. */
  readonly advertise?: string | undefined;
}

/**
 * Returns the address at which others reach a process: the one it is told, or the one it listens
 * on, or instead of a wildcard the machine's first address.
 */
export function advertisedAddress(
  { address, advertise }: Listening,
  log: Log,
  interfaces: () => Interfaces = networkInterfaces,
): string {
  if (advertise !== undefined) return advertise;
  const { host, port } = parseHostPort(address);
  if (LOOPBACK.test(host)) {
    log.warn(
      `registered at ${address}, which no other machine reaches; set the keys "listen" or "advertise" if there are others`,
    );
  }
  if (!WILDCARDS.has(host)) return address;
  const own = firstAddress(interfacesBy(interfaces));
  return `${own.includes(':') ? `[${own}]` : own}:${port}`;
}

/** Asks the system, which may forbid it to a process in a sandbox. */
function interfacesBy(ask: () => Interfaces): Interfaces {
  try {
    return ask();
  } catch (cause: unknown) {
    const message = `key "advertise": the addresses of this machine cannot be read, and a registry gives others one to reach it at (${errorMessage(cause)}); set it to host:port`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'advertise', cause });
  }
}

function firstAddress(interfaces: Interfaces): string {
  const all = Object.values(interfaces).flatMap((list) => list ?? []);
  const reachable = all.filter(
    ({ internal, address }) => !internal && !address.toLowerCase().startsWith('fe80:'),
  );
  const own = reachable.find(({ family }) => family === 'IPv4') ?? reachable[0];
  if (own !== undefined) return own.address;
  const message =
    'key "advertise": this machine has loopback addresses alone, and a registry gives others one to reach it at; set it to host:port';
  throw new MeshError('INVALID_REQUEST', message, { param: 'advertise' });
}
