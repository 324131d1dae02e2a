import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Static, Type } from 'typebox';
import { parseFlags } from '#mesh/command-line/flags.ts';
import { MeshError } from '#mesh/errors.ts';
import { helpText, resolveOptions } from '#mesh/options.ts';
import type { Command } from '../command.ts';
import { configOption } from '../command-mesh.ts';
import { alertmanagerCommand, prometheusCommand } from './observer-commands.ts';
import {
  chooseAddress,
  findProgram,
  type ObserverCommand,
  ObserverProcess,
  type ObserverProgram,
} from './observer-process.ts';
import {
  type FindTargets,
  followTargets,
  registeredTargets,
  supervisedTargets,
  writeTargets,
} from './scrape-targets.ts';

const PROMETHEUS: ObserverProgram = {
  title: 'Prometheus',
  names: ['prometheus'],
  package: 'prometheus',
};

const ALERTMANAGER: ObserverProgram = {
  title: 'Alertmanager',
  names: ['prometheus-alertmanager', 'alertmanager'],
  package: 'prometheus-alertmanager',
};

const portOption = (usual: number, what: string) =>
  Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 65_535,
      description: `Port of ${what} on loopback; unset: ${usual}, or any free one`,
    }),
  );

const observeOptions = Type.Object(
  {
    config: configOption,
    registry: Type.Optional(
      Type.String({
        meaning: 'registry',
        description: 'Registry whose processes are watched instead, as the key of that name has it',
      }),
    ),
    metricsPort: Type.Integer({
      minimum: 1,
      maximum: 65_535,
      default: 9464,
      description: 'Port of metrics-listen of the processes in the registry',
    }),
    prometheusPort: portOption(9090, 'Prometheus'),
    alertmanagerPort: portOption(9093, 'Alertmanager'),
    scrapeIntervalS: Type.Number({
      minimum: 0.5,
      maximum: 3600,
      default: 5,
      description: 'Time between two scrapes, and between two looks at the rules, seconds',
    }),
    data: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'Folder in which what was measured stays; unset: one that goes with the end',
      }),
    ),
    targets: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Start nothing, and keep this file up to date for the file_sd_configs of a Prometheus of your own',
      }),
    ),
  },
  { additionalProperties: false },
);

type ObserveOptions = Static<typeof observeOptions>;

/** `autoglm observe`: starts Prometheus and Alertmanager beside the mesh that runs. */
export const observe: Command = {
  name: 'observe',
  summary: 'start Prometheus and Alertmanager beside the mesh',
  help: () =>
    `Usage: autoglm observe [options]\n\nStarts Prometheus and Alertmanager, as installed, on loopback beside the mesh that runs here, with the\nrules of deploy/observability, and prints their addresses. They follow the mesh as its processes come\nand go, and end with Ctrl-C.\n\nOptions [default]:\n${helpText(observeOptions)}\n`,
  run: async (args) => {
    const options = resolveOptions(observeOptions, parseFlags(observeOptions, args));
    const ending = endOnSignals();
    if (options.targets === undefined) await runObservers(options, ending);
    else await keepTargets(options.targets, options, ending);
    return 0;
  },
};

/** Aborts when this process is told to end. */
function endOnSignals(): AbortSignal {
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort());
  return ending.signal;
}

/** Returns how the processes to watch are found. */
function sourceOf({ registry, metricsPort, config }: ObserveOptions): FindTargets {
  if (registry === undefined) return supervisedTargets(config);
  return registeredTargets(registry, metricsPort);
}

async function keepTargets(
  path: string,
  options: ObserveOptions,
  signal: AbortSignal,
): Promise<void> {
  const find = sourceOf(options);
  const written = await writeTargets({ find, path });
  say(`targets: ${resolve(path)}; Ctrl-C ends`);
  await followTargets(written, { find, path, signal, onNews: say });
}

async function runObservers(options: ObserveOptions, signal: AbortSignal): Promise<void> {
  const paths = {
    prometheus: await findProgram(PROMETHEUS),
    alertmanager: await findProgram(ALERTMANAGER),
  };
  const { data } = options;
  const find = sourceOf(options);
  const temporary = data === undefined ? await mkdtemp(join(tmpdir(), 'autoglm-observe-')) : '';
  const folder = resolve(data ?? temporary);
  const running: ObserverProcess[] = [];
  const start = async (program: ObserverProgram, command: ObserverCommand) => {
    const started = ObserverProcess.start(program.title, command);
    running.push(started);
    await started.ready(signal);
  };
  try {
    await mkdir(folder, { recursive: true });
    const path = join(folder, 'targets.json');
    const written = await writeTargets({ find, path });
    const plan = {
      folder,
      targets: path,
      alertmanager: await chooseAddress(options.alertmanagerPort, 9093),
      prometheus: await chooseAddress(options.prometheusPort, 9090),
      scrapeIntervalS: options.scrapeIntervalS,
    };
    await start(ALERTMANAGER, alertmanagerCommand(paths.alertmanager, plan));
    await start(PROMETHEUS, await prometheusCommand(paths.prometheus, plan));
    if (signal.aborted) return;
    say(`Prometheus: http://${plan.prometheus}\nAlertmanager: http://${plan.alertmanager}`);
    say('Ctrl-C ends both');
    const ended = Promise.race(running.map((one) => one.ended));
    const follow = followTargets(written, { find, path, signal, onNews: say });
    const why = await Promise.race([ended, follow]);
    if (why !== undefined && !signal.aborted) throw new MeshError('ENGINE_FAILED', why);
  } finally {
    await Promise.all(running.map((one) => one.close()));
    if (temporary !== '') await rm(temporary, { recursive: true, force: true });
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
