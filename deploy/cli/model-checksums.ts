import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';

/** Bytes read at once: large enough that a disk streams, small enough for even progress. */
const CHUNK_BYTES = 4 * 1024 * 1024;

/** SHA-256 of one file of a model. */
export interface FileChecksum {
  readonly name: string;
  /** Hex. */
  readonly sha256: string;
}

/** How far the reading of a model has come. */
export interface ReadProgress {
  readonly numBytes: number;
  readonly totalBytes: number;
}

/**
 * Reads every file of a model directory whole, in order of names, and yields its checksum.
 * `onProgress` is called after each 4 MiB. Folders and hidden files are left out.
 */
export async function* modelChecksums(
  directory: string,
  onProgress: (progress: ReadProgress) => void,
): AsyncGenerator<FileChecksum> {
  const files = await filesOf(directory);
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
  let numBytes = 0;
  for (const { name } of files) {
    const hash = createHash('sha256');
    const chunks: AsyncIterable<Buffer> = createReadStream(join(directory, name), {
      highWaterMark: CHUNK_BYTES,
    });
    for await (const chunk of chunks) {
      hash.update(chunk);
      numBytes += chunk.length;
      onProgress({ numBytes, totalBytes });
    }
    yield { name, sha256: hash.digest('hex') };
  }
}

async function filesOf(
  directory: string,
): Promise<readonly { readonly name: string; readonly size: number }[]> {
  const names = await namesIn(directory);
  const visible = names.filter((name) => !name.startsWith('.')).sort();
  const stats = await Promise.all(visible.map((name) => stat(join(directory, name))));
  return visible.flatMap((name, i) => {
    const found = stats[i];
    return found?.isFile() === true ? [{ name, size: found.size }] : [];
  });
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (cause: unknown) {
    const why = errorMessage(cause);
    throw new MeshError('INVALID_REQUEST', `${directory} is no model directory: ${why}`, { cause });
  }
}

/** Returns the one checksum of a whole model: SHA-256 over its files' names and checksums. */
export function wholeChecksum(files: readonly FileChecksum[]): string {
  const hash = createHash('sha256');
  for (const { name, sha256 } of files) hash.update(`${sha256}  ${name}\n`);
  return hash.digest('hex');
}

/** Reads a list in the format of sha256sum: "HEX  NAME" a line. */
export function parseChecksums(text: string, path: string): readonly FileChecksum[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const [, sha256, name] = /^([0-9a-f]{64}) [ *](?:\.\/)?(.+)$/i.exec(line) ?? [];
    if (sha256 !== undefined && name !== undefined) return { name, sha256: sha256.toLowerCase() };
    throw new MeshError(
      'INVALID_REQUEST',
      `${path}: expected lines of sha256sum, "HEX  NAME", found "${line.slice(0, 80)}"`,
    );
  });
}

/** Returns one line for each file that differs from the expected list, is missing, or not in it. */
export function differences(
  found: readonly FileChecksum[],
  expected: readonly FileChecksum[],
): readonly string[] {
  const foundByName = new Map(found.map(({ name, sha256 }) => [name, sha256]));
  const expectedNames = new Set(expected.map(({ name }) => name));
  return [
    ...expected.flatMap(({ name, sha256 }) => {
      const actual = foundByName.get(name);
      if (actual === sha256) return [];
      return [actual === undefined ? `${name}: missing` : `${name}: differs`];
    }),
    ...found.flatMap(({ name }) => (expectedNames.has(name) ? [] : [`${name}: not in the list`])),
  ];
}
