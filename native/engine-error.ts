/** Reason why the engine refused or failed. */
export type EngineErrorReason =
  /** An argument is of the wrong type or out of range. */
  | 'INVALID_REQUEST'
  /** The request is well-formed, but this build or machine cannot do it. */
  | 'UNSUPPORTED'
  /** A file of the model is missing, damaged or of another shape. */
  | 'INVALID_CHECKPOINT'
  /** The device has not enough free memory. */
  | 'OUT_OF_MEMORY'
  /** The operating system refused, or the computed numbers are not finite. */
  | 'ENGINE_FAILED'
  /** The engine was closed before the call or while it waited. */
  | 'ENGINE_CLOSED';

const CODES = {
  INVALID_REQUEST: 'INVALID_ARGUMENT',
  UNSUPPORTED: 'UNIMPLEMENTED',
  INVALID_CHECKPOINT: 'FAILED_PRECONDITION',
  OUT_OF_MEMORY: 'RESOURCE_EXHAUSTED',
  ENGINE_FAILED: 'INTERNAL',
  ENGINE_CLOSED: 'UNAVAILABLE',
} as const satisfies Record<EngineErrorReason, string>;

/** The only error that the addon throws; C++ makes instances of it. */
export class EngineError extends Error {
  readonly reason: EngineErrorReason;
  /** The gRPC status code that corresponds to the reason. */
  readonly code: (typeof CODES)[EngineErrorReason];

  constructor(reason: EngineErrorReason, message: string) {
    super(message);
    this.name = 'EngineError';
    this.reason = reason;
    this.code = CODES[reason];
  }
}
