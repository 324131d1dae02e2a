import type { Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import { bytesOfMb } from '#mesh/megabytes.ts';

/** First bytes of the file that stands for one that git-lfs has not downloaded. */
const GIT_LFS_POINTER = 'version https://git-lfs.github.com/spec/';

/**
 * Reads a text file of a model directory; null if it does not exist. Refuses what is no regular
 * file, is larger than `maxMb`, or is a git-lfs pointer.
 */
export async function readModelFile(path: string, maxMb: number): Promise<string | null> {
  const found = await statOf(path);
  if (found === null) return null;
  if (!found.isFile()) throw unreadable(path, 'is not a regular file');
  if (found.size > bytesOfMb(maxMb)) {
    throw unreadable(path, `is ${found.size} bytes long; at most ${maxMb} MB are read`);
  }
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw unreadable(path, `cannot be read: ${errorMessage(cause)}`);
  });
  checkIsNoGitLfsPointer(path, text);
  return text;
}

/** Tells whether a file of a model directory holds weights, by its name. */
export function isWeightFile(name: string): boolean {
  return name.startsWith('model') && name.endsWith('.safetensors');
}

/** Refuses the beginning of a file if it is a git-lfs pointer. */
export function checkIsNoGitLfsPointer(path: string, beginning: string): void {
  if (!beginning.startsWith(GIT_LFS_POINTER)) return;
  throw unreadable(
    path,
    'is a git-lfs pointer, not the file it stands for; run "git lfs pull" in the model directory',
  );
}

async function statOf(path: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch (error: unknown) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw unreadable(path, `cannot be read: ${errorMessage(error)}`);
  }
}

function unreadable(path: string, why: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${path}: ${why}`, { param: 'model' });
}
