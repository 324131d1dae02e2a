import { isErrorReason, MeshError } from './errors.ts';

/**
 * Turns an engine's refusal (an error with a `reason` of the error table) into the MeshError callers
 * see; anything else is returned as it is.
 */
export function fromEngineError(error: unknown): unknown {
  if (error instanceof MeshError || !(error instanceof Error) || !('reason' in error)) return error;
  if (typeof error.reason !== 'string' || !isErrorReason(error.reason)) return error;
  return new MeshError(error.reason, error.message, { cause: error });
}
