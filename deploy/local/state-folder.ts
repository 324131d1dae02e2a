import { mkdir, stat } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '#mesh/command-line/environment.ts';

/** Returns the folders that may hold the state of this user's meshes, the best first. */
export function stateFolders(env: Environment): string[] {
  const userId = String(process.getuid?.() ?? '');
  const parents = [env['XDG_RUNTIME_DIR'], env['XDG_STATE_HOME'], homeState(env)];
  const found = parents.filter((one) => one?.startsWith('/'));
  const folders = found.map((one) => join(String(one), 'autoglm'));
  return [...new Set([...folders, join(tmpdir(), `autoglm-${userId}`)])];
}

function homeState(env: Environment): string | undefined {
  const home = env['HOME'] || homedir();
  return home === '' ? undefined : join(home, '.local', 'state');
}

/** Makes the first folder that can be made; undefined if none can. */
export async function makeStateFolder(env: Environment): Promise<string | undefined> {
  for (const folder of stateFolders(env)) {
    const isMade = await mkdir(folder, { recursive: true, mode: 0o700 }).then(
      () => true,
      () => false,
    );
    if (isMade && (await isOwn(folder))) return folder;
  }
  return undefined;
}

/**
 * Tells whether a folder belongs to this user alone: what others could write must not say where a
 * chat sends its key.
 */
export async function isOwn(folder: string): Promise<boolean> {
  try {
    const { uid, mode } = await stat(folder);
    return uid === process.getuid?.() && (mode & 0o022) === 0;
  } catch {
    return false;
  }
}
