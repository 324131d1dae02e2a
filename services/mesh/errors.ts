import { Status } from 'nice-grpc-common';
import { cut } from './client-text.ts';

/**
 * Most UTF-16 units of a message and of a parameter's name. Both travel in a call's trailers; if
 * these exceed 64 KiB, the peer drops the connection with all its streams.
 */
export const MAX_MESSAGE_CHARS = 1024;
const MAX_PARAM_CHARS = 200;

/** The meaning of one reason on every surface. */
interface ErrorRow {
  readonly status: Status;
  readonly http: number;
  /** `error.type` of an OpenAI error body. */
  readonly type: string;
  /**
   * Tells whether the same request may succeed on another instance, or here a little later: a caller
   * may repeat it, and a client is told so.
   */
  readonly retryElsewhere: boolean;
  /** When a retry makes sense, unless the failure says: about the time of a restart. */
  readonly retryAfterMs?: number;
}

const invalid = { type: 'invalid_request_error', retryElsewhere: false } as const;
const soon = { retryElsewhere: true, retryAfterMs: 1000 } as const;
const server = { type: 'server_error' } as const;

/** The table of failures: the only place that maps a reason to gRPC and HTTP. */
export const ERRORS = {
  INVALID_REQUEST: { status: Status.INVALID_ARGUMENT, http: 400, ...invalid },
  CONTEXT_LENGTH_EXCEEDED: { status: Status.INVALID_ARGUMENT, http: 400, ...invalid },
  UNSUPPORTED_MEDIA: { status: Status.INVALID_ARGUMENT, http: 400, ...invalid },
  REQUEST_EXCEEDS_KV_CACHE: { status: Status.INVALID_ARGUMENT, http: 400, ...invalid },
  UNAUTHENTICATED: {
    status: Status.UNAUTHENTICATED,
    http: 401,
    type: 'authentication_error',
    retryElsewhere: false,
  },
  MODEL_NOT_FOUND: { status: Status.NOT_FOUND, http: 404, ...invalid },
  NOT_FOUND: { status: Status.NOT_FOUND, http: 404, ...invalid },
  METHOD_NOT_ALLOWED: { status: Status.UNIMPLEMENTED, http: 405, ...invalid },
  BODY_TOO_SLOW: { status: Status.DEADLINE_EXCEEDED, http: 408, ...invalid },
  HOST_NOT_ALLOWED: { status: Status.PERMISSION_DENIED, http: 403, ...invalid },
  PAYLOAD_TOO_LARGE: { status: Status.INVALID_ARGUMENT, http: 413, ...invalid },
  UNSUPPORTED_CONTENT_TYPE: { status: Status.INVALID_ARGUMENT, http: 415, ...invalid },
  QUARANTINED: { status: Status.FAILED_PRECONDITION, http: 422, ...invalid },
  IDEMPOTENCY_KEY_REUSED: { status: Status.FAILED_PRECONDITION, http: 422, ...invalid },
  MEDIA_FETCH_FAILED: { status: Status.FAILED_PRECONDITION, http: 424, ...invalid },
  QUEUE_FULL: { status: Status.RESOURCE_EXHAUSTED, http: 429, type: 'rate_limit_error', ...soon },
  CANCELLED: { status: Status.CANCELLED, http: 499, ...server, retryElsewhere: false },
  DRAINING: { status: Status.UNAVAILABLE, http: 503, ...server, ...soon },
  NO_READY_ENDPOINT: { status: Status.UNAVAILABLE, http: 503, ...server, ...soon },
  DEADLINE_EXCEEDED: {
    status: Status.DEADLINE_EXCEEDED,
    http: 504,
    ...server,
    retryElsewhere: false,
  },
  ENGINE_FAILED: { status: Status.INTERNAL, http: 500, ...server, retryElsewhere: true },
  ENGINE_DEAD: { status: Status.UNAVAILABLE, http: 503, ...server, ...soon },
} as const satisfies Record<string, ErrorRow>;

export type ErrorReason = keyof typeof ERRORS;

export interface MeshErrorDetails {
  /** The field at fault: its path in the proto message, or an edge's client's name for it. */
  readonly param?: string;
  /** Milliseconds after which a retry makes sense. */
  readonly retryAfterMs?: number;
  /** True if the process that was asked did not say this, but was lost itself. */
  readonly isPeerLost?: boolean;
  readonly cause?: unknown;
}

/**
 * An expected refusal or failure: the only error, besides an abort, that a handler may throw. A
 * message or parameter that is too long to travel is cut.
 */
export class MeshError extends Error {
  readonly reason: ErrorReason;
  readonly param: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly isPeerLost: boolean;

  constructor(reason: ErrorReason, message: string, details: MeshErrorDetails = {}) {
    super(
      cut(message, MAX_MESSAGE_CHARS),
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.name = 'MeshError';
    this.reason = reason;
    this.param = details.param === undefined ? undefined : cut(details.param, MAX_PARAM_CHARS);
    const row: ErrorRow = ERRORS[reason];
    this.retryAfterMs = details.retryAfterMs ?? row.retryAfterMs;
    this.isPeerLost = details.isPeerLost ?? false;
  }

  /** Returns the same failure with another field at fault, in other words if they are given. */
  about(param: string, message = this.message): MeshError {
    const { reason, retryAfterMs } = this;
    const retry = retryAfterMs === undefined ? {} : { retryAfterMs };
    return new MeshError(reason, message, { param, ...retry, cause: this });
  }
}

/** Returns the reason of any failure; an unforeseen one is the process's own. */
export function reasonOf(error: unknown): ErrorReason {
  return error instanceof MeshError ? error.reason : 'ENGINE_FAILED';
}

export function isErrorReason(value: string): value is ErrorReason {
  return Object.hasOwn(ERRORS, value);
}
