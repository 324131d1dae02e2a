import { codePath } from '#deploy/local/code-path.ts';

/** Flags with which Node runs modules of this project from their sources, written in place too. */
export const SOURCE_FLAGS: readonly string[] = ['--conditions=source', '--import', 'tsx'];

/** What Node must be given to run a program of this project as this process runs. */
export const PROGRAM_FLAGS = import.meta.filename.endsWith('.ts') ? SOURCE_FLAGS : [];

/**
 * Returns what Node must be given to run a program of this project as this process runs itself, from
 * its source or compiled. `module` is its path from the package's root, without extension.
 */
export function programArgs(module: string): readonly string[] {
  return [...PROGRAM_FLAGS, codePath(module)];
}
