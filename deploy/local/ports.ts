import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import { listenWhenFree } from '#mesh/listen-when-free.ts';
import type { Log } from '#mesh/log/log.ts';
import { type HostPort, parseHostPort, probePort } from '#mesh/port-probe.ts';
import { pagePortOf } from './config/addresses.ts';
import type { ProcessConfig } from './config/config.ts';

/** An address that a process will listen on, and the key that changes it. */
interface Claim extends HostPort {
  readonly role: string;
  /** Name of the process. */
  readonly name: string;
  readonly key: string;
  /** Address as messages show it. */
  readonly address: string;
}

/** Milliseconds within which a mesh that was just stopped releases its ports. */
const WAIT_LIMIT_MS = 2000;

export interface ClaimOptions {
  readonly log: Log;
  /** Ends the wait for a port at once. */
  readonly signal: AbortSignal;
}

/**
 * Refuses, before anything is loaded, a port that another program keeps, that two processes share
 * or that is not known in advance (port 0). Resolves early, with nothing claimed, when the signal
 * aborts.
 */
export async function claimPorts(
  processes: readonly ProcessConfig[],
  { log, signal }: ClaimOptions,
): Promise<void> {
  const claims = processes.flatMap((one) => claimsOf(one));
  for (const [i, claim] of claims.entries()) {
    requireKnownPort(claim);
    const rival = claims.slice(0, i).find((one) => one.port === claim.port);
    if (rival !== undefined) throw inUse(claim, `"${rival.key}" of "${rival.name}" has it too`);
    try {
      const wait = { address: claim.address, log, limitMs: WAIT_LIMIT_MS, signal };
      await listenWhenFree(() => probePort(claim), wait);
    } catch (cause: unknown) {
      if (signal.aborted) return;
      throw inUse(claim, errorMessage(cause));
    }
  }
}

/** Returns the ports of processes on which somebody listens. */
export async function portsTaken(processes: readonly ProcessConfig[]): Promise<number[]> {
  const probes = processes.flatMap(claimsOf).map((claim) =>
    probePort(claim).then(
      () => [],
      () => [claim.port],
    ),
  );
  return (await Promise.all(probes)).flat();
}

function claimsOf({ role: { name: role }, name, values }: ProcessConfig): Claim[] {
  const { listen, host, port, metricsListen } = values;
  const claims: Claim[] = [];
  const claim = (key: string, address: string) =>
    claims.push({ role, name, key, ...parseHostPort(address), address });
  if (typeof host === 'string' && typeof port === 'number') {
    claims.push({ role, name, key: 'port', host, port, address: `${host}:${port}` });
  } else if (typeof listen === 'string') claim('listen', listen);
  // Any free port does for the metrics unless one is named: "autoglm status" shows it.
  if (pagePortOf(values) !== 0) claim('metrics-listen', String(metricsListen));
  return claims;
}

/**
 * Refuses an unknown port: the processes of a mesh, and `autoglm status`, find each other by the
 * configured ports.
 */
function requireKnownPort({ role, key, port }: Claim): void {
  if (port !== 0) return;
  const place = `key "${key}" in the section "${role}"`;
  const why = 'in a mesh port 0 is not possible; name the port that the others ask';
  throw new MeshError('INVALID_REQUEST', `${place}: ${why}`, { param: key });
}

function inUse({ role, key, address }: Claim, why: string): MeshError {
  const change = `set the key "${key}" in the section "${role}" of the configuration`;
  const flag = key === 'port' ? ' or --port' : '';
  const message = `cannot listen on ${address} (${why}); to use another port, ${change}${flag}`;
  return new MeshError('INVALID_REQUEST', message, { param: key });
}
