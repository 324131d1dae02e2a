import { join, relative } from 'node:path';
import { readArguments } from '#mesh/command-line/flags.ts';
import { usableCores } from '#mesh/devices/cores.ts';
import { NO_GPUS, refusalLines } from '#mesh/devices/gpus.ts';
import { MeshError } from '#mesh/errors.ts';
import { checkModelDirectory } from '#mesh/model/model-directory.ts';
import { helpText, type OptionValues } from '#mesh/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { type MeshConfig, type MeshPlan, planMesh } from '../local/config/config.ts';
import { readConfigDocument } from '../local/config/config-document.ts';
import { readConfigEnvironment } from '../local/config/config-environment.ts';
import { usableMemoryBytes } from '../local/config/memory-shares.ts';
import { findGpus } from '../local/find-gpus.ts';
import { hasTower, headsOf } from '../local/model-towers.ts';
import { BACKBONE } from '../local/roles.ts';
import { superviseUntilSignal } from '../local/supervise.ts';
import type { Command } from './command.ts';
import { translateLaunchLine, translateValues } from './launch-line.ts';
import { serveOptions } from './serve-options.ts';

/** `autoglm serve`: runs the mesh on this machine until it is told to stop. */
export const serve: Command = {
  name: 'serve',
  summary: 'start the mesh on this machine',
  help: () =>
    `Usage: autoglm serve [DIR] [options]\n\nStarts every process of the mesh; DIR is short for --model DIR.\nWithout --config the keys come from deploy/config.yaml. Each key is an environment variable, too\n(AUTOGLM_PORT, in a section AUTOGLM_LLM_BACKBONE__DEVICE), which wins over the file.\nFlags of vLLM and SGLang are taken where they have a meaning here.\n\nOptions [default]:\n${helpText(serveOptions)}\n`,
  run: async (args) => {
    const plan = await loadPlan(args);
    await checkModels(plan.mesh);
    return superviseUntilSignal(plan);
  },
};

/** Reads the configuration file, the environment and the flags. */
export async function loadConfig(args: readonly string[]): Promise<MeshConfig> {
  const { mesh } = await loadPlan(args);
  return mesh;
}

async function loadPlan(args: readonly string[]): Promise<MeshPlan> {
  const { values, ignored } = parseServeFlags(args);
  const { config, ...flags } = values;
  const env = readConfigEnvironment(process.env);
  const standard = relative(process.cwd(), join(PACKAGE_ROOT, 'deploy', 'config.yaml'));
  const path = typeof config === 'string' ? config : (env.file ?? standard);
  const document = await readConfigDocument(path);
  const machine = { cores: usableCores(), memoryBytes: usableMemoryBytes(), hasTower, headsOf };
  const planOn = (gpus: readonly string[]) => planMesh(document, flags, { ...machine, env, gpus });
  const onCpu = planOn([]);
  // Drivers take their time, and only a process that leaves its device open depends on them.
  const { gpus, refusals } = onCpu.mesh.isPlaced === true ? await findGpus() : NO_GPUS;
  const plan = gpus.length === 0 ? onCpu : planOn(gpus.map(({ id }) => id));
  const warnings = [...env.warnings, ...ignored, ...refusalLines(refusals)];
  return { ...plan, mesh: { ...plan.mesh, warnings } };
}

/** Refuses a model at once that the processes would refuse after seconds, each in its words. */
async function checkModels({ processes }: MeshConfig): Promise<void> {
  for (const { role, values } of processes) {
    if (values['model'] === undefined) continue;
    await checkModelDirectory(String(values['model']), { tokenizer: role === BACKBONE });
  }
}

interface ServeFlags {
  readonly values: OptionValues;
  /** A line about the flags that were ignored; none if there are none. */
  readonly ignored: readonly string[];
}

/** Reads the command line of `serve`; the model may stand in it without a flag. */
export function parseServeFlags(typed: readonly string[]): ServeFlags {
  const { args, ignored } = translateLaunchLine(serveOptions, typed);
  const { values, rest } = readArguments(serveOptions, args);
  const [model, ...more] = rest;
  if (more[0] !== undefined) {
    throw new MeshError('INVALID_REQUEST', `unexpected argument "${more[0]}" behind "${model}"`);
  }
  if (model !== undefined && values['model'] !== undefined) {
    throw new MeshError('INVALID_REQUEST', `both DIR ("${model}") and --model name a model`);
  }
  const flags = translateValues(model === undefined ? values : { ...values, model });
  const names = [...new Set(ignored)].join(', ');
  return { values: flags, ignored: names === '' ? [] : [`ignored, no meaning here: ${names}`] };
}
