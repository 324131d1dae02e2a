import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';

/** The phases in which a process ends. */
export interface Stoppable {
  /** Refuse new work, let what runs finish; past `graceMs` cancel it. */
  drain(graceMs: number): Promise<void>;
}

/** What a process is made of when it ends. */
export interface EndingParts {
  /** The work that requests asked for. */
  readonly work: Stoppable;
  readonly server: {
    /** Ends what listens; cuts off after `graceMs` the connections that are still open. */
    close(graceMs: number): Promise<void>;
  };
  /** Frees what the work needed. */
  readonly close: () => Promise<void>;
}

/** After the last answer, its last bytes are given this long to reach its reader. */
const LAST_WRITES_MS = 500;

/**
 * Ends a process in the order that loses nothing: its work, while the server still answers; the
 * server, once nothing is left to answer; then what the work stood on.
 */
export async function drainInOrder(parts: EndingParts, graceMs: number): Promise<void> {
  await parts.work.drain(graceMs);
  await parts.server.close(LAST_WRITES_MS);
  await parts.close();
}

export interface LifecycleOptions {
  readonly log: Log;
  /** Time running work is given to finish after SIGTERM or SIGINT, milliseconds. */
  readonly drainTimeoutMs: number;
}

/** What a supervisor sends a process that is to drain and end. */
export const DRAIN = 'drain';

/** What a process tells its supervisor when somebody has sent it a signal. */
export const SIGNALLED = 'signalled';

/**
 * Ends the process in order on SIGTERM or SIGINT: drain, then exit 0. A second signal exits at once.
 * A process that a supervisor started (it has an IPC channel) asks it instead and drains when told to:
 * whoever signals all processes of a mesh at once, as systemd does, must not have the backbone refuse
 * what the gateway still passes on. Only the supervisor ends such a process at once.
 */
export function endOnSignal(service: Stoppable, options: LifecycleOptions): void {
  const isSupervised = process.env[SUPERVISED] !== undefined;
  let isStopping = false;
  const drain = (why: string) => {
    if (isStopping) return;
    isStopping = true;
    options.log.info(`${why}: draining, at most ${options.drainTimeoutMs / 1000} s`);
    service.drain(options.drainTimeoutMs).then(
      () => process.exit(0),
      (err: unknown) => {
        options.log.error({ err }, 'drain failed');
        process.exit(1);
      },
    );
  };
  const onSignal = (signal: NodeJS.Signals) => {
    if (isSupervised && process.connected) process.send?.(SIGNALLED);
    else if (isStopping) process.exit(130);
    else drain(signal);
  };
  process.on('message', (message) => {
    if (isSupervised && message === DRAIN) drain('told to end');
  });
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

/** Set in the environment of every process the supervisor starts. */
export const SUPERVISED = 'AUTOGLM_SUPERVISED';

/**
 * Ends this process, without draining, when the supervisor that started it is gone, even while starting
 * up: whatever killed the supervisor, no child survives it.
 */
export function dieWithSupervisor(): void {
  // A supervisor that died while this process was loading its modules has closed the channel by now.
  if (process.env[SUPERVISED] !== undefined && !process.connected) process.exit(1);
  if (process.channel === undefined) return;
  process.on('disconnect', () => process.exit(1));
  // The channel alone must not keep a finished process alive.
  process.channel.unref();
}

/**
 * Runs a process's main function; a refusal to start is one clear line and exit status 1. What nobody
 * caught later ends the process too, with a line in its log.
 */
export function runMain(log: () => Log, main: () => Promise<void>): void {
  dieWithSupervisor();
  // If the reader of standard error is gone, what libraries and warnings write there is lost, and
  // nothing else.
  process.stderr.on('error', () => {});
  process.on('uncaughtException', (err) => {
    log().error({ err }, 'uncaught error');
    process.exit(1);
  });
  main().catch((err: unknown) => {
    if (err instanceof MeshError) log().error(err.message);
    else log().error({ err }, 'failed to start');
    process.exit(1);
  });
}
