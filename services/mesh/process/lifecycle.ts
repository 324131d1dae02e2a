import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { answerPings, isSupervised, onSupervisor, tellSupervisor } from './supervision.ts';

/** The phases in which a process ends. */
export interface Stoppable {
  /** Refuses new work and lets running work finish; cancels it after `graceMs`. */
  drain(graceMs: number): Promise<void>;
  /** Ends the running work of a drain at once; whoever waits for it is told. */
  hasten?(): void;
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
/** Milliseconds after a second signal within which a process is gone. */
const HASTE_MS = 1500;

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

/**
 * Ends the process in order on SIGTERM or SIGINT: drains, then exits with 0. A second signal ends
 * the running work, so that clients are told, and exits at once if there is none to tell. A process
 * that a supervisor started (it has an IPC channel) instead reports the signal to it and drains when
 * told to, within the time left to the mesh: if all processes of a mesh are signalled at once, as
 * systemd does, the backbone must not refuse requests that the gateway still passes on. Only the
 * supervisor ends such a process at once.
 */
export function endOnSignal(service: Stoppable, options: LifecycleOptions): void {
  let isStopping = false;
  let isHasty = false;
  const drain = (why: string, limitMs = options.drainTimeoutMs) => {
    if (isStopping) return;
    isStopping = true;
    const graceMs = Math.min(limitMs, options.drainTimeoutMs);
    options.log.info(`${why}: draining, at most ${(graceMs / 1000).toFixed(1)} s`);
    service.drain(graceMs).then(
      () => process.exit(isHasty ? 130 : 0),
      (err: unknown) => {
        options.log.error({ err }, 'drain failed');
        process.exit(1);
      },
    );
  };
  const hasten = () => {
    if (isHasty || service.hasten === undefined) process.exit(130);
    isHasty = true;
    service.hasten();
    setTimeout(() => process.exit(130), HASTE_MS).unref();
  };
  const onSignal = (signal: NodeJS.Signals) => {
    if (isSupervised() && process.connected) tellSupervisor({ kind: 'signalled' });
    else if (isStopping) hasten();
    else drain(signal);
  };
  onSupervisor((message) => {
    if (message.kind !== 'drain') return;
    if (isStopping && service.hasten !== undefined) hasten();
    else drain('told to end', message.limitMs);
  });
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

/**
 * Answers the supervisor's pings, and ends this process, without draining, when the supervisor that
 * started it is gone, even during start-up: no child survives its supervisor, however that died.
 */
export function liveWithSupervisor(): void {
  // If the supervisor died while this process was loading its modules, the channel is already
  // closed.
  if (isSupervised() && !process.connected) process.exit(1);
  if (process.channel === undefined) return;
  answerPings();
  process.on('disconnect', () => process.exit(1));
  // The channel alone must not keep a finished process alive.
  process.channel.unref();
}

/**
 * Runs a process's main function; a refusal to start is one clear line and exit status 1. A later
 * error that nothing caught also ends the process, with a line in its log.
 */
export function runMain(log: () => Log, main: () => Promise<void>): void {
  liveWithSupervisor();
  // If the reader of standard error is gone, only the text that libraries and warnings write there
  // is lost.
  process.stderr.on('error', () => {});
  process.on('uncaughtException', (err) => {
    log().error({ err }, 'uncaught error');
    process.exit(1);
  });
  main().catch((err: unknown) => {
    const isRefusal = err instanceof MeshError || isEngineError(err);
    if (isRefusal) log().error(err.message);
    else log().error({ err }, 'failed to start');
    process.exit(1);
  });
}

/** Tells whether the engine refused a device or its settings; its class is the addon's. */
function isEngineError(error: unknown): error is Error {
  return error instanceof Error && error.name === 'EngineError';
}
