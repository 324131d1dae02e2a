import { rename, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { MeshError } from '#mesh/errors.ts';
import { parseHostPort } from '#mesh/port-probe.ts';
import { callSupervisor } from '../../local/control/control-client.ts';
import { findControl } from '../find-mesh.ts';
import { registeredProcesses } from '../registered-mesh.ts';

/** Milliseconds between two looks at the mesh. */
const LOOK_MS = 1000;
/** Milliseconds in which its supervisor must answer. */
const ANSWER_LIMIT_MS = 2000;

/** A process, and where it shows its metrics. */
export interface ScrapeTarget {
  /** Name of its series, which stays when it is started again. */
  readonly instance: string;
  readonly role: string;
  /** Address `host:port` of its page. */
  readonly address: string;
}

/** Finds the targets of a mesh at this moment; throws MeshError if it cannot be asked. */
export type FindTargets = () => Promise<readonly ScrapeTarget[]>;

/** Asks the supervisor of the mesh that runs here, of a configuration if one is given. */
export function supervisedTargets(config: string | undefined): FindTargets {
  return async () => {
    const path = await findControl(config);
    const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
    const processes = await callSupervisor({ command: 'status' }, { path, signal });
    return processes
      .filter(({ metrics }) => metrics !== '')
      .map(({ name, role, metrics }) => ({ instance: name, role, address: reachable(metrics) }));
  };
}

/** Asks a registry, whose processes show their metrics at one port of the hosts they run on. */
export function registeredTargets(registry: string, port: number): FindTargets {
  return async () => {
    const processes = await registeredProcesses(registry);
    return processes.map(({ role, address }) => {
      const own = address.replace(/^http:\/\//, '');
      return { instance: own, role, address: `${own.slice(0, own.lastIndexOf(':'))}:${port}` };
    });
  };
}

/** Returns an address of this machine for one that means all of its addresses. */
function reachable(address: string): string {
  const { host, port } = parseHostPort(address);
  if (host === '0.0.0.0') return `127.0.0.1:${port}`;
  return host === '::' ? `[::1]:${port}` : address;
}

export interface FollowedTargets {
  readonly find: FindTargets;
  /** File for Prometheus' file_sd_configs. */
  readonly path: string;
  readonly signal: AbortSignal;
  /** Is told when the mesh is away, and when one is there again. */
  readonly onNews: (text: string) => void;
}

/** Writes the targets of a mesh once; resolves to what was written. */
export async function writeTargets({
  find,
  path,
}: Pick<FollowedTargets, 'find' | 'path'>): Promise<string> {
  const text = targetsText(await find());
  await replaceFile(path, text);
  return text;
}

/**
 * Keeps the targets up to date until the signal aborts: a process that is started again may have
 * another port, and others come and go. Those of a mesh that has ended stay, so that they count as
 * down.
 */
export async function followTargets(written: string, followed: FollowedTargets): Promise<void> {
  const { find, path, signal, onNews } = followed;
  let last = written;
  let isAway = false;
  while (await passed(LOOK_MS, signal)) {
    try {
      const text = targetsText(await find());
      if (isAway) onNews('the mesh is there again');
      isAway = false;
      if (text === last) continue;
      await replaceFile(path, text);
      last = text;
    } catch (error: unknown) {
      if (!(error instanceof MeshError)) throw error;
      if (!isAway && !signal.aborted) onNews(`the mesh is away: ${error.message}`);
      isAway = true;
    }
  }
}

function targetsText(targets: readonly ScrapeTarget[]): string {
  const entries = targets.map(({ address, ...labels }) => ({ targets: [address], labels }));
  return `${JSON.stringify(entries, null, 2)}\n`;
}

/** Waits; resolves to false if the signal has aborted. */
async function passed(ms: number, signal: AbortSignal): Promise<boolean> {
  await delay(ms, undefined, { signal }).catch(() => {});
  return !signal.aborted;
}

/** Prometheus reads the file whenever it changes, so it changes whole. */
async function replaceFile(path: string, text: string): Promise<void> {
  await writeFile(`${path}.tmp`, text);
  await rename(`${path}.tmp`, path);
}
