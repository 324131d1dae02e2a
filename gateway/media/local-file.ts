import { constants } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MeshError } from '#mesh/errors.ts';
import type { ItemBudget } from './byte-budget.ts';

export interface LocalFileCall {
  readonly param: string;
  readonly budget: ItemBudget;
  readonly signal: AbortSignal;
}

/**
 * Reads a file:// URL below `root`; if that is undefined, no file may be read. A path is judged by
 * its real place, so no symbolic link leads out. The folder must not be writable by users who are
 * not trusted.
 */
export async function readLocalFile(
  url: URL,
  root: string | undefined,
  call: LocalFileCall,
): Promise<Buffer> {
  const { param } = call;
  if (root === undefined) {
    throw refusal(param, 'file:// URLs are not read by this server (allowed-local-media-path)');
  }
  const path = await pathBelow(url, { root, param });
  call.signal.throwIfAborted();
  // Without O_NONBLOCK, the opening of a pipe without a writer would never return.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((cause: unknown) => {
    throw unreadable(param, cause);
  });
  try {
    const { size } = await file.stat().then((stat) => {
      if (!stat.isFile()) throw refusal(param, 'the path is not that of a regular file');
      return stat;
    });
    if (size > call.budget.maxBytes) throw call.budget.refuse();
    const bytes = await file.readFile({ signal: call.signal });
    call.budget.take(bytes.length);
    return bytes;
  } finally {
    await file.close();
  }
}

interface Root {
  readonly root: string;
  readonly param: string;
}

async function pathBelow(url: URL, { root, param }: Root): Promise<string> {
  const named = pathOf(url, param);
  const realRoot = await realpath(root);
  // Checked before the disk is read, so that the answer does not tell which files exist elsewhere.
  if (!isBelow(named, resolve(root)) && !isBelow(named, realRoot)) throw outside(param);
  const path = await realpath(named).catch((cause: unknown) => {
    throw unreadable(param, cause);
  });
  if (!isBelow(path, realRoot)) throw outside(param);
  return path;
}

function pathOf(url: URL, param: string): string {
  try {
    return resolve(fileURLToPath(url));
  } catch (cause: unknown) {
    const message = `${param}: a file:// URL has an absolute path and no host`;
    throw new MeshError('INVALID_REQUEST', message, { param, cause });
  }
}

function isBelow(path: string, root: string): boolean {
  const way = relative(root, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`);
}

function outside(param: string): MeshError {
  return refusal(param, 'the file lies outside the folder this server may read');
}

function unreadable(param: string, cause: unknown): MeshError {
  return new MeshError('INVALID_REQUEST', `${param}: no such file can be read`, { param, cause });
}

function refusal(param: string, why: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${param}: ${why}`, { param });
}
