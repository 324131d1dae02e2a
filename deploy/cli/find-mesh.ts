import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { MeshError } from '#mesh/errors.ts';
import type { MeshConfig } from '../local/config/config.ts';
import { addressesOf, type MeshProcess, runningMeshes } from '../local/mesh-state.ts';
import { GATEWAY } from '../local/roles.ts';
import { loadConfig } from './serve.ts';

/** A mesh that a command asks. */
export interface FoundMesh {
  readonly processes: readonly MeshProcess[];
  /** Path of its supervisor's socket; "" without one, or if it does not run here. */
  readonly control: string;
}

/**
 * Finds the meshes that a command may mean: those of this user that run, of `config` if that is
 * given; if none runs, the one that the configuration describes.
 */
export async function findMeshes(config: string | undefined): Promise<FoundMesh[]> {
  const running = await runningMeshes(process.env);
  const wanted = config === undefined ? undefined : realPath(config);
  const found = running.filter((one) => wanted === undefined || realPath(one.config) === wanted);
  if (found.length > 0) return found;
  const { processes } = await configuredMesh(config);
  return [{ processes: addressesOf(processes), control: '' }];
}

/** Finds the one mesh that a command means. */
export async function findMesh(config: string | undefined): Promise<FoundMesh> {
  const [mesh, ...others] = await findMeshes(config);
  if (mesh !== undefined && others.length === 0) return mesh;
  const urls = [mesh, ...others].map((one) => addressIn(one, GATEWAY.name));
  const message = `${urls.length} meshes run (${urls.join(', ')}); say which one you mean`;
  throw new MeshError('INVALID_REQUEST', message);
}

/** Finds the socket of the supervisor whose mesh a command means; throws if none runs here. */
export async function findControl(config: string | undefined): Promise<string> {
  const { control } = await findMesh(config);
  if (control !== '') return control;
  const message = 'no mesh runs here that takes commands; start one with "autoglm serve"';
  throw new MeshError('NO_READY_ENDPOINT', message);
}

/** Returns the address of a mesh's first process of a role. */
export function addressIn(mesh: FoundMesh | undefined, role: string): string {
  return mesh?.processes.find((one) => one.role === role)?.address ?? '';
}

/** Returns the key that the configuration demands of clients; undefined: none. */
export async function configuredKey(config: string | undefined): Promise<string | undefined> {
  const { processes } = await configuredMesh(config);
  const key = processes.find(({ role }) => role.name === GATEWAY.name)?.values['apiKey'];
  return typeof key === 'string' ? key : undefined;
}

function configuredMesh(config: string | undefined): Promise<MeshConfig> {
  return loadConfig(config === undefined ? [] : [`--config=${config}`]);
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}
