import { MeshError } from '#mesh/errors.ts';
import type { Log } from './log.ts';

/** What was refused or failed, and for which request; no id: its caller gave none. */
export interface FailedWork {
  readonly what: 'request' | 'item';
  readonly requestId: string;
}

/**
 * Says in the log that work was refused or failed. The message of a refusal may repeat what was
 * asked, so it stays out.
 */
export function logFailure(log: Log, { what, requestId }: FailedWork, error: unknown): void {
  const facts = { request_id: requestId };
  if (error instanceof MeshError && error.reason !== 'ENGINE_FAILED') {
    log.debug({ ...facts, reason: error.reason }, `${what} refused`);
  } else {
    log.warn(facts, `${what} failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}
