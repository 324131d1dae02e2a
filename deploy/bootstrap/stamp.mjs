// Tells by content whether a source has changed since it was built: after a checkout or a copy,
// file times mislead.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { BUILD, ROOT } from './paths.mjs';

/**
 * Returns the hex SHA-256 over names and contents of the files under `paths` whose name `accepts`
 * takes.
 */
export function contentHash(paths, accepts) {
  const hash = createHash('sha256');
  for (const file of filesUnder(paths, accepts)) {
    const content = readFileSync(file);
    hash.update(`${relative(ROOT, file)}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** Returns the files below folders of the package, in a fixed order; a path may also be a file. */
export function filesUnder(paths, accepts) {
  return paths.flatMap((path) => walk(join(ROOT, path))).filter(accepts);
}

function walk(path) {
  let entries;
  try {
    entries = readdirSync(path, { withFileTypes: true });
  } catch (error) {
    if (error.code === 'ENOTDIR') return [path];
    if (error.code === 'ENOENT') return [];
    throw error;
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const child = join(path, entry.name);
    return entry.isDirectory() ? walk(child) : [child];
  });
}

function stampPath(name) {
  return join(BUILD, 'stamps', name);
}

/** Tells whether `name` was last completed with exactly this hash. */
export function isStamped(name, hash) {
  try {
    return readFileSync(stampPath(name), 'utf8') === hash;
  } catch {
    return false;
  }
}

/** Records completion, completely or not at all, so that an interrupted stage runs again. */
export function writeStamp(name, hash) {
  const path = stampPath(name);
  mkdirSync(join(BUILD, 'stamps'), { recursive: true });
  writeFileSync(`${path}.tmp`, hash);
  renameSync(`${path}.tmp`, path);
}

export function clearStamp(name) {
  rmSync(stampPath(name), { force: true });
}
