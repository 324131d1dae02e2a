import { extname, join } from 'node:path';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

/** Children run from sources if this module does (in development), otherwise from build/. */
const EXTENSION = extname(import.meta.filename);
const CODE_ROOT = EXTENSION === '.ts' ? PACKAGE_ROOT : join(PACKAGE_ROOT, 'build');

/** Returns the file of a module that is named by its path from the package's root, without extension. */
export function codePath(module: string): string {
  return join(CODE_ROOT, `${module}${EXTENSION}`);
}
