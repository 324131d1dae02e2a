import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import { createLog, type Log } from '#mesh/log/log.ts';
import { logOf } from '#mesh/log/log-options.ts';
import type { MeshPlan } from './config/config.ts';
import { ControlServer } from './control/control-server.ts';
import { MeshChanges } from './mesh-changes.ts';
import { addressesOf, type StateFile, withMeshState } from './mesh-state.ts';
import { Supervisor } from './supervisor.ts';

/**
 * Milliseconds within which a second signal is ignored, since npm delivers one Ctrl-C twice. A
 * later one ends what still runs.
 */
const SAME_SIGNAL_MS = 500;

/** Runs a mesh until a signal stops it; resolves to this process's exit status. */
export async function superviseUntilSignal(plan: MeshPlan): Promise<number> {
  const { mesh: config } = plan;
  const log = createLog({ role: 'supervisor', ...logOf(config.log) });
  for (const warning of config.warnings ?? []) log.warn(warning);
  for (const notice of config.notices ?? []) log.info(notice);
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
      supervisor.hasten();
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  process.on('SIGUSR2', () => supervisor.reopenLogs());
  try {
    await withMeshState(config, process.env, (file) =>
      withControl({ file, plan, supervisor, log }, () => supervisor.run()),
    );
    if (status === 0) log.info('Stopped');
    return status;
  } catch (error: unknown) {
    if (!(error instanceof MeshError)) throw error;
    log.error(error.message);
    return 1;
  }
}

interface ControlParts {
  readonly file: StateFile | undefined;
  readonly plan: MeshPlan;
  readonly supervisor: Supervisor;
  readonly log: Log;
}

/**
 * Takes commands as long as `work` runs. Without a folder for the socket the mesh runs all the same,
 * and stays as it was started.
 */
async function withControl(
  { file, plan, supervisor, log }: ControlParts,
  work: () => Promise<void>,
): Promise<void> {
  if (file === undefined) return work();
  const onChange = () =>
    file.change({ processes: addressesOf(supervisor.list.processes.map(({ config }) => config)) });
  const changes = new MeshChanges({ supervisor, plan, log, onChange });
  const control = await openControl(file.socketPath, changes, log);
  if (control !== undefined) await file.change({ control: file.socketPath });
  try {
    await work();
  } finally {
    control?.close();
  }
}

async function openControl(
  path: string,
  changes: MeshChanges,
  log: Log,
): Promise<ControlServer | undefined> {
  try {
    return await ControlServer.open(path, (request, say) => changes.carryOut(request, say), log);
  } catch (error: unknown) {
    const why = errorMessage(error);
    log.warn(`no commands are taken ("autoglm scale", "restart"): ${path}: ${why}`);
    return undefined;
  }
}
