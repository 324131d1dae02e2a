import { join, relative } from 'node:path';
import { MeshError } from '#mesh/errors.ts';
import { createLog } from '#mesh/log.ts';
import { helpText, type OptionValues, parseFlags } from '#mesh/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { type MeshConfig, resolveConfig } from '../local/config.ts';
import { readConfigDocument } from '../local/config-document.ts';
import { Supervisor } from '../local/supervisor.ts';
import type { Command } from './command.ts';
import { serveOptions } from './serve-options.ts';

/** A second signal ends the mesh at once, unless it is the same Ctrl-C delivered twice by npm. */
const SAME_SIGNAL_MS = 500;

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

/** Reads the configuration file and the flags; also where `status` and `call` learn addresses. */
export async function loadConfig(args: readonly string[]): Promise<MeshConfig> {
  const { config, ...flags } = parseServeFlags(args);
  const standard = relative(process.cwd(), join(PACKAGE_ROOT, 'deploy', 'config.yaml'));
  const document = await readConfigDocument(typeof config === 'string' ? config : standard);
  return resolveConfig(document, flags);
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

async function superviseUntilSignal(config: MeshConfig): Promise<number> {
  const { logLevel, logFormat, logPath } = config.log;
  const log = createLog({ role: 'supervisor', level: logLevel, format: logFormat, path: logPath });
  const supervisor = new Supervisor(config, { log });
  let firstSignalMs: number | undefined;
  let status = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    if (firstSignalMs === undefined) {
      firstSignalMs = performance.now();
      log.info(`${signal}: stopping; running requests finish first, again to stop at once`);
      supervisor.stop().catch((err: unknown) => log.error({ err }, 'stopping failed'));
    } else if (performance.now() - firstSignalMs > SAME_SIGNAL_MS) {
      status = 130;
      supervisor.kill();
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  try {
    await supervisor.run();
    if (status === 0) log.info('Stopped');
    return status;
  } catch (error: unknown) {
    if (!(error instanceof MeshError)) throw error;
    log.error(error.message);
    return 1;
  }
}
