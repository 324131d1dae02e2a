import { type ErrorReason, MeshError } from '#mesh/errors.ts';
import { EngineError, type EngineErrorReason } from '#native';

/** Reasons that callers see when an engine refuses a media item or a checkpoint. */
const REASONS = {
  INVALID_REQUEST: 'INVALID_REQUEST',
  UNSUPPORTED: 'UNSUPPORTED_MEDIA',
  INVALID_CHECKPOINT: 'INVALID_REQUEST',
  ENGINE_FAILED: 'ENGINE_FAILED',
  ENGINE_CLOSED: 'DRAINING',
} as const satisfies Record<EngineErrorReason, ErrorReason>;

/** Turns an engine's error into a MeshError; returns any other error as it is. */
export function fromEngineError(error: unknown): unknown {
  if (!(error instanceof EngineError)) return error;
  return new MeshError(REASONS[error.reason], error.message, { cause: error });
}
