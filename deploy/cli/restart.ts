import { Type } from 'typebox';
import { readArguments } from '#mesh/command-line/flags.ts';
import { MeshError } from '#mesh/errors.ts';
import { helpText, resolveOptions } from '#mesh/options.ts';
import type { Command } from './command.ts';
import { commandMesh, configOption } from './command-mesh.ts';

const restartOptions = Type.Object({ config: configOption }, { additionalProperties: false });

/** `autoglm restart`: starts the processes of a running mesh again, one after the other. */
export const restart: Command = {
  name: 'restart',
  summary: 'start processes again, one after the other',
  help: () =>
    `Usage: autoglm restart [NAME] [options]\n\nNAME is a role (llm-backbone: all its processes) or a process (llm-backbone-2; the first is\nllm-backbone-1 here); without one, everything is started again. Each process finishes what it has within\ndrain-timeout-s, and the next one follows when the mesh is ready again. Where a role has one process,\nrequests wait for it.\n\nOptions [default]:\n${helpText(restartOptions)}\n`,
  run: async (args) => {
    const { values, rest } = readArguments(restartOptions, args);
    const { config } = resolveOptions(restartOptions, values);
    const [name = '', more] = rest;
    if (more !== undefined) {
      throw new MeshError('INVALID_REQUEST', `name one role or process, not "${more}" too`);
    }
    return commandMesh({ command: 'restart', name }, config);
  },
};
