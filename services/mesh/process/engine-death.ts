import type { Log } from '#mesh/log/log.ts';
import { Standstill } from './step-watchdog.ts';

/** Longest time for the end of the calls of a process whose engine is dead, milliseconds. */
const LAST_CALLS_MS = 2000;

/** A service whose engine may die. */
export interface EngineService {
  /** Rejects when its engine is dead. */
  readonly done: Promise<void>;
  drain(graceMs: number): Promise<void>;
}

/**
 * Ends this process when its engine is dead; its callers get their errors before. Somebody is to
 * start it again: a supervisor, or whatever stands in its place.
 */
export function endWithEngine(service: EngineService, log: Log): void {
  service.done.catch((err: unknown) => {
    log.error({ err }, 'the engine is dead');
    const end = () => endProcess(err);
    setTimeout(end, LAST_CALLS_MS);
    service.drain(0).then(end, end);
  });
}

/**
 * An exit would wait for the thread of a step that never ends. By SIGABRT the process ends at once,
 * and what it was computing is suspected, as after a crash.
 */
function endProcess(cause: unknown): void {
  if (cause instanceof Standstill) process.kill(process.pid, 'SIGABRT');
  else process.exit(1);
}
