import { pathToFileURL } from 'node:url';
import { MeshError } from '#mesh/errors.ts';
import { didYouMean } from '#mesh/nearest-name.ts';
import { codePath } from '../local/code-path.ts';
import { ROLES } from '../local/roles.ts';
import type { Command } from './command.ts';

const NAMES = ROLES.map(({ name }) => name);

/** `autoglm run`: runs one process of a mesh by itself, in this process. */
export const run: Command = {
  name: 'run',
  summary: 'start one process alone, for meshes over several hosts',
  help: () =>
    `Usage: autoglm run PROCESS [options]\n\nPROCESS is one of ${NAMES.join(', ')}.\nIt takes its keys as flags and from variables (AUTOGLM_MODEL, AUTOGLM_LLM_BACKBONE__DEVICE), not from a\nconfiguration file. The gateway finds backbones by --backbone, a backbone its encoders by\n--vision-encoder and --speech-encoder.\n\n"autoglm run PROCESS --help" lists its options.\n`,
  run: async ([name, ...args]) => {
    const role = ROLES.find((one) => one.name === name);
    if (role === undefined) {
      const hint = didYouMean(name ?? '', NAMES) || `; there are ${NAMES.join(', ')}`;
      const what = name === undefined ? 'name a process' : `no process "${name}"`;
      throw new MeshError('INVALID_REQUEST', `${what}${hint}`);
    }
    // The main module takes its arguments as if Node had been started with it.
    const main = codePath(role.main);
    process.argv = [process.execPath, main, ...args];
    await import(pathToFileURL(main).href);
    return 0;
  },
};
