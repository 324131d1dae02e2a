import { codePath } from '#deploy/local/code-path.ts';

/**
 * What Node must be given so that a module finds this project's others (`#mesh/x.ts`) as this
 * process does: as sources, or compiled.
 */
export const MODULE_FLAGS: readonly string[] = import.meta.filename.endsWith('.ts')
  ? ['--conditions=source', '--import', 'tsx']
  : [];

/**
 * Returns what Node must be given to run a program of this project as this process runs itself.
 * `module` is its path from the package's root, without extension.
 */
export function programArgs(module: string): readonly string[] {
  return [...MODULE_FLAGS, codePath(module)];
}
