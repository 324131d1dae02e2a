import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';

/** The phases in which a process ends. */
export interface Stoppable {
  /** Refuses new work and lets running work finish; cancels it after `graceMs`. */
  drain(graceMs: number): Promise<void>;
}

/** The parts of a process that end with it. */
export interface EndingParts {
  /** The work that requests asked for. */
  readonly work: Stoppable;
  readonly server: {
    /** Ends the listeners; after `graceMs` cuts off the connections that are still open. */
    close(graceMs: number): Promise<void>;
  };
  /** Frees the resources that the work needed. */
  readonly close: () => Promise<void>;
}

/** Milliseconds that the last bytes of the last answer have to reach their reader. */
const LAST_WRITES_MS = 500;

/**
 * Ends a process in the order that loses nothing: its work, while the server still answers; the
 * server, once nothing is left to answer; then the resources of the work.
 */
export async function drainInOrder(parts: EndingParts, graceMs: number): Promise<void> {
  await parts.work.drain(graceMs);
  await parts.server.close(LAST_WRITES_MS);
  await parts.close();
}

export interface LifecycleOptions {
  readonly log: Log;
  /** Time that running work has to finish after SIGTERM or SIGINT, in milliseconds. */
  readonly drainTimeoutMs: number;
}

/** Message of a supervisor to a process that is to drain and end. */
export const DRAIN = 'drain';

/** Message of a process to its supervisor when it has received a signal. */
export const SIGNALLED = 'signalled';

/**
 * Ends the process in order on SIGTERM or SIGINT: drains, then exits with 0. A second signal exits
 * at once. A process that a supervisor started (it has an IPC channel) instead reports the signal
 * to it and drains when told to: if all processes of a mesh are signalled at once, as systemd does,
 * the backbone must not refuse requests that the gateway still passes on. Only the supervisor ends
 * such a process at once.
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
 * Ends this process, without draining, when the supervisor that started it is gone, even during
 * start-up: no child survives its supervisor, however that died.
 */
export function dieWithSupervisor(): void {
  // If the supervisor died while this process was loading its modules, the channel is already
  // closed.
  if (process.env[SUPERVISED] !== undefined && !process.connected) process.exit(1);
  if (process.channel === undefined) return;
  process.on('disconnect', () => process.exit(1));
  // The channel alone must not keep a finished process alive.
  process.channel.unref();
}

/**
 * Runs a process's main function; a refusal to start is one clear line and exit status 1. A later
 * error that nothing caught also ends the process, with a line in its log.
 */
export function runMain(log: () => Log, main: () => Promise<void>): void {
  dieWithSupervisor();
  // If the reader of standard error is gone, only the text that libraries and warnings write there
  // is lost.
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
