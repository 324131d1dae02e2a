import { type ErrorReason, MeshError } from '#mesh/errors.ts';
import { EngineError, type EngineErrorReason } from '#native';

/** Reasons that callers see when an engine refuses a media item or a checkpoint. */
const REASONS = {
  INVALID_REQUEST: 'INVALID_REQUEST',
  UNSUPPORTED: 'UNSUPPORTED_MEDIA',
  INVALID_CHECKPOINT: 'INVALID_REQUEST',
  OUT_OF_MEMORY: 'NO_READY_ENDPOINT',
  ENGINE_FAILED: 'ENGINE_FAILED',
  ENGINE_CLOSED: 'DRAINING',
} as const satisfies Record<EngineErrorReason, ErrorReason>;

/** What libvips and V8 say when memory is refused. */
const NO_MEMORY = /out of memory|allocation failed/i;

/**
 * Returns the failure of an item for which this process had no memory, which is no fault of the
 * item: another encoder may have more, and this one later. Undefined if the error is another one.
 */
export function memoryShortage(error: unknown): MeshError | undefined {
  if (!(error instanceof Error)) return undefined;
  const isRefused = error instanceof EngineError && error.reason === 'OUT_OF_MEMORY';
  if (!isRefused && !NO_MEMORY.test(error.message)) return undefined;
  const message = 'the encoder has not enough free memory for the item; retry later';
  return new MeshError('NO_READY_ENDPOINT', message, { cause: error });
}

/** Turns an engine's refusal to load a tower into a MeshError that says what helps. */
export function fromLoadError(error: unknown): unknown {
  if (!(error instanceof EngineError) || error.reason !== 'OUT_OF_MEMORY') {
    return fromEngineError(error);
  }
  const message = `${error.message}; the key "quantize-tower" or "dtype" makes the weights smaller`;
  return new MeshError('INVALID_REQUEST', message, { param: 'quantize-tower', cause: error });
}

/** Turns an engine's error into a MeshError; returns any other error as it is. */
export function fromEngineError(error: unknown): unknown {
  const shortage = memoryShortage(error);
  if (shortage !== undefined) return shortage;
  if (!(error instanceof EngineError)) return error;
  return new MeshError(REASONS[error.reason], error.message, { cause: error });
}
