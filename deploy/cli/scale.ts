import { Type } from 'typebox';
import { readArguments } from '#mesh/command-line/flags.ts';
import { MeshError } from '#mesh/errors.ts';
import { helpText, resolveOptions } from '#mesh/options.ts';
import { ROLES } from '../local/roles.ts';
import type { Command } from './command.ts';
import { commandMesh, configOption } from './command-mesh.ts';

const scaleOptions = Type.Object({ config: configOption }, { additionalProperties: false });

/** `autoglm scale`: changes how many processes of a role a running mesh has. */
export const scale: Command = {
  name: 'scale',
  summary: 'change how many processes of a role run',
  help: () =>
    `Usage: autoglm scale ROLE=NUMBER... [options]\n\nROLE is one of ${ROLES.map(({ name }) => name).join(', ')}.\nStarts processes and waits until they are ready, or takes the last ones away: they are asked nothing\nnew, finish what they have within drain-timeout-s, and end. The configuration file stays as it is.\n\nOptions [default]:\n${helpText(scaleOptions)}\n`,
  run: async (args) => {
    const { values, rest } = readArguments(scaleOptions, args);
    const { config } = resolveOptions(scaleOptions, values);
    return commandMesh({ command: 'scale', replicas: readReplicas(rest) }, config);
  },
};

/** Reads `llm-backbone=3 gateway=2`. */
export function readReplicas(words: readonly string[]): Record<string, string> {
  const replicas = new Map<string, string>();
  for (const word of words) {
    const [, role = '', count = ''] = /^([^=]+)=(.+)$/.exec(word) ?? [];
    if (role === '') throw refused(`"${word}" is not ROLE=NUMBER, such as llm-backbone=2`);
    if (replicas.has(role)) throw refused(`two numbers of ${role}`);
    replicas.set(role, count);
  }
  if (replicas.size === 0) throw refused('say which processes, such as llm-backbone=2');
  return Object.fromEntries(replicas);
}

function refused(message: string): MeshError {
  return new MeshError('INVALID_REQUEST', message);
}
