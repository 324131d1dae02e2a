import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from './log.ts';

/** What was refused or failed, and for which request; no id: its caller gave none. */
export interface FailedWork {
  readonly what: 'request' | 'item';
  readonly requestId: string;
  /** Fields that say to which span it belongs. */
  readonly trace?: Readonly<Record<string, string>>;
}

/**
 * Says in the log that work was refused or failed. The message of a refusal may repeat what was
 * asked, so it stays out. What this process could not do is a warning, with its cause.
 */
export function logFailure(log: Log, { what, requestId, trace }: FailedWork, error: unknown): void {
  const facts = { request_id: requestId, ...trace };
  if (error instanceof MeshError && !isOwnFailure(error)) {
    log.debug({ ...facts, reason: error.reason }, `${what} refused`);
  } else {
    const cause = error instanceof MeshError ? (error.cause ?? error) : error;
    log.warn(facts, `${what} failed: ${errorMessage(cause)}`);
  }
}

/** A process that is not ready for a reason has tried and could not. */
function isOwnFailure({ reason, cause }: MeshError): boolean {
  return reason === 'ENGINE_FAILED' || (reason === 'NO_READY_ENDPOINT' && cause !== undefined);
}
