import { join, relative } from 'node:path';
import { MeshError } from '#mesh/errors.ts';
import { helpText, type OptionValues, parseFlags } from '#mesh/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { type MeshConfig, resolveConfig } from '../local/config.ts';
import { readConfigDocument } from '../local/config-document.ts';
import { usableCores } from '../local/cores.ts';
import { hasTower } from '../local/model-towers.ts';
import { superviseUntilSignal } from '../local/supervise.ts';
import type { Command } from './command.ts';
import { serveOptions } from './serve-options.ts';

/** `autoglm serve`: runs the mesh on this machine until it is told to stop. */
export const serve: Command = {
  name: 'serve',
  summary: 'start the mesh on this machine',
  help: () =>
    `Usage: autoglm serve [DIR] [options]\n\nStarts every process of the mesh; DIR is short for --model DIR.\nWithout --config the keys come from deploy/config.yaml.\n\nOptions [default]:\n${helpText(serveOptions)}\n`,
  run: async (args) => {
    const config = await loadConfig(args);
    return superviseUntilSignal(config);
  },
};

/** Reads the configuration file and the flags; `status` and `call` take addresses from it too. */
export async function loadConfig(args: readonly string[]): Promise<MeshConfig> {
  const { config, ...flags } = parseServeFlags(args);
  const standard = relative(process.cwd(), join(PACKAGE_ROOT, 'deploy', 'config.yaml'));
  const document = await readConfigDocument(typeof config === 'string' ? config : standard);
  return resolveConfig(document, flags, { cores: usableCores(), hasTower });
}

function parseServeFlags(args: readonly string[]): OptionValues {
  const [first, ...rest] = args;
  const isDirectory = first !== undefined && !first.startsWith('-');
  if (!isDirectory) return parseFlags(serveOptions, args);
  if (rest.some((arg) => arg === '--model' || arg.startsWith('--model='))) {
    throw new MeshError('INVALID_REQUEST', `both DIR ("${first}") and --model name a model`);
  }
  return { ...parseFlags(serveOptions, rest), model: first };
}
