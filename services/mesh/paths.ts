import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The package's root folder, both for sources and for compiled files. */
export const PACKAGE_ROOT = findRoot(import.meta.dirname);

function findRoot(from: string): string {
  if (existsSync(join(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error('package.json of autoglm-mesh not found above the code');
  return findRoot(parent);
}

/** Folder of the .proto files, for reflection and generic clients. */
export const PROTO_ROOT = join(PACKAGE_ROOT, 'protos');
