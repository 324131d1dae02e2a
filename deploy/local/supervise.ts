import { MeshError } from '#mesh/errors.ts';
import { createLog } from '#mesh/log/log.ts';
import type { MeshConfig } from './config.ts';
import { Supervisor } from './supervisor.ts';

/**
 * Milliseconds within which a second signal is ignored, since npm delivers one Ctrl-C twice. A
 * later one ends the mesh at once.
 */
const SAME_SIGNAL_MS = 500;

/** Runs a mesh until a signal stops it; resolves to this process's exit status. */
export async function superviseUntilSignal(config: MeshConfig): Promise<number> {
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
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
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
