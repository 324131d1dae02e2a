import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Type } from 'typebox';
import Value from 'typebox/value';
import type { Environment } from '#mesh/command-line/environment.ts';
import type { MeshConfig, ProcessConfig } from './config/config.ts';
import { gatewayUrl } from './readiness.ts';
import { GATEWAY } from './roles.ts';
import { isRunning, thisProcess } from './running-process.ts';
import { isOwn, makeStateFolder, stateFolders } from './state-folder.ts';

const processSchema = Type.Object({
  name: Type.String(),
  role: Type.String(),
  address: Type.String(),
});

const stateSchema = Type.Object({
  pid: Type.Integer({ minimum: 1 }),
  startTicks: Type.String(),
  /** Absolute path of the configuration file; "" without one. */
  config: Type.String(),
  /** Path of the supervisor's socket; "" without one. */
  control: Type.String(),
  processes: Type.Array(processSchema),
});

/** A process of a mesh: the gateway's address is its URL, the others' are host:port. */
export interface MeshProcess {
  readonly name: string;
  readonly role: string;
  readonly address: string;
}

/** What a supervisor leaves for the commands that look for its mesh. */
export interface MeshState {
  readonly pid: number;
  readonly startTicks: string;
  readonly config: string;
  readonly control: string;
  readonly processes: readonly MeshProcess[];
}

/** Returns where a process listens: the URL of a gateway, host:port of another. */
export function addressOf({ role, values }: ProcessConfig): string {
  return role.name === GATEWAY.name ? gatewayUrl(values) : String(values['listen']);
}

/** Returns where processes listen. */
export function addressesOf(processes: readonly ProcessConfig[]): MeshProcess[] {
  return processes.map((one) => ({
    name: one.name,
    role: one.role.name,
    address: addressOf(one),
  }));
}

/** The file that leads commands to a mesh. */
export interface StateFile {
  /** Path beside the file, for the supervisor's socket. */
  readonly socketPath: string;
  /** Writes what has changed. */
  change(state: Partial<Pick<MeshState, 'control' | 'processes'>>): Promise<void>;
}

/**
 * Writes the state of the mesh that this process supervises, for its owner only, as long as `work`
 * runs. Without a folder for it the mesh runs all the same, and commands need addresses.
 */
export async function withMeshState<T>(
  mesh: MeshConfig,
  env: Environment,
  work: (file: StateFile | undefined) => Promise<T>,
): Promise<T> {
  const folder = await makeStateFolder(env);
  if (folder === undefined) return work(undefined);
  const path = join(folder, `mesh-${process.pid}.json`);
  let state: MeshState = {
    ...thisProcess(),
    config: mesh.file === undefined ? '' : resolve(mesh.file),
    control: '',
    processes: addressesOf(mesh.processes),
  };
  if (!(await writeState(path, state))) return work(undefined);
  const change: StateFile['change'] = async (changed) => {
    state = { ...state, ...changed };
    await writeState(path, state);
  };
  try {
    return await work({ socketPath: socketBeside(path), change });
  } finally {
    await rm(path, { force: true }).catch(() => {});
  }
}

function socketBeside(path: string): string {
  return path.replace(/json$/, 'sock');
}

/** Writes the file whole or not at all; false if the disk is full or read-only. */
async function writeState(path: string, state: MeshState): Promise<boolean> {
  try {
    await writeFile(`${path}.tmp`, `${JSON.stringify(state)}\n`, { mode: 0o600, flag: 'w' });
    await rename(`${path}.tmp`, path);
    return true;
  } catch {
    return false;
  }
}

/** Returns the meshes of this user that run; the traces of others are removed. */
export async function runningMeshes(env: Environment): Promise<MeshState[]> {
  const meshes: MeshState[] = [];
  for (const folder of stateFolders(env)) {
    if (!(await isOwn(folder))) continue;
    for (const name of await readdir(folder)) {
      if (!/^mesh-\d+\.json$/.test(name)) continue;
      const path = join(folder, name);
      const state = await readState(path);
      if (state !== undefined && isRunning(state)) meshes.push(state);
      else {
        for (const trace of [path, socketBeside(path)]) {
          await rm(trace, { force: true }).catch(() => {});
        }
      }
    }
  }
  return meshes.sort((a, b) => a.pid - b.pid);
}

async function readState(path: string): Promise<MeshState | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(path, 'utf8'));
    return Value.Check(stateSchema, parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}
