import { rename, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { MeshError } from '#mesh/errors.ts';
import { parseHostPort } from '#mesh/port-probe.ts';
import { callSupervisor } from '../../local/control/control-client.ts';
import type { ProcessReport } from '../../local/control/control-protocol.ts';
import { findControl } from '../find-mesh.ts';

/** Milliseconds between two looks at the mesh. */
const LOOK_MS = 1000;
/** Milliseconds in which its supervisor must answer. */
const ANSWER_LIMIT_MS = 2000;

export interface FollowedTargets {
  /** File for Prometheus' file_sd_configs. */
  readonly path: string;
  /** Configuration file of the mesh; unset: the one that runs. */
  readonly config: string | undefined;
  readonly signal: AbortSignal;
  /** Is told when the mesh ends, and when one is there again. */
  readonly onNews: (text: string) => void;
}

/** Writes where the processes of a mesh show their metrics, in the form that Prometheus reads. */
export function scrapeTargets(processes: readonly ProcessReport[]): string {
  const targets = processes
    .filter(({ metrics }) => metrics !== '')
    .map(({ name, role, metrics }) => ({
      targets: [reachable(metrics)],
      labels: { instance: name, role },
    }));
  return `${JSON.stringify(targets, null, 2)}\n`;
}

/** Returns an address of this machine for one that means all of its addresses. */
function reachable(address: string): string {
  const { host, port } = parseHostPort(address);
  if (host === '0.0.0.0') return `127.0.0.1:${port}`;
  return host === '::' ? `[::1]:${port}` : address;
}

/** Writes the targets of a mesh once; resolves to them. Throws if none runs. */
export async function writeTargets({
  path,
  config,
}: Pick<FollowedTargets, 'path' | 'config'>): Promise<string> {
  const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
  const control = await findControl(config);
  const text = scrapeTargets(
    await callSupervisor({ command: 'status' }, { path: control, signal }),
  );
  await replaceFile(path, text);
  return text;
}

/**
 * Keeps the targets up to date until the signal aborts: a process that is started again has another
 * port, and others come and go. Those of a mesh that has ended stay, so that they count as down.
 */
export async function followTargets(written: string, followed: FollowedTargets): Promise<void> {
  const { path, config, signal, onNews } = followed;
  let last = written;
  let isAway = false;
  while (await passed(LOOK_MS, signal)) {
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_LIMIT_MS)]);
      const control = await findControl(config);
      const found = await callSupervisor({ command: 'status' }, { path: control, signal: limit });
      const text = scrapeTargets(found);
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
