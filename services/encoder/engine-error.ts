import { type ErrorReason, MeshError } from '#mesh/errors.ts';
import { EngineError, type EngineErrorReason } from '#native';

/** What an engine's refusal of a media item or a checkpoint means to a caller. */
const REASONS = {
  INVALID_REQUEST: 'INVALID_REQUEST',
  UNSUPPORTED: 'UNSUPPORTED_MEDIA',
  INVALID_CHECKPOINT: 'INVALID_REQUEST',
  ENGINE_FAILED: 'ENGINE_FAILED',
  ENGINE_CLOSED: 'DRAINING',
} as const satisfies Record<EngineErrorReason, ErrorReason>;

/** Turns an engine's error into the MeshError callers see; anything else is returned as it is. */
export function fromEngineError(error: unknown): unknown {
  if (!(error instanceof EngineError)) return error;
  return new MeshError(REASONS[error.reason], error.message, { cause: error });
}
