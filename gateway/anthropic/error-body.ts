import { docOf, ERRORS, type MeshError } from '#mesh/errors.ts';

/** Paths whose clients are Anthropic's. */
const PATH = /^\/v1\/messages(?:\/|$)/;

/** Types of errors by HTTP status; other 4xx are the request's fault, other 5xx the server's. */
const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  408: 'timeout_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
};

/** Anthropic's error object. */
export interface MessageErrorBody {
  readonly type: 'error';
  readonly error: {
    readonly type: string;
    readonly message: string;
    /** Where the reason is explained; a field of the mesh's own, which clients ignore. */
    readonly doc: string;
    /** What the client of a stored conversation reads; absent in other errors. */
    readonly details?: typeof NO_THREADS;
  };
  readonly request_id: string;
}

/** Tells whether a path belongs to Anthropic's API. */
export function isMessagesPath(path: string): boolean {
  return PATH.test(path);
}

/** Tells Anthropic's package to go on by sending its conversation whole. */
const NO_THREADS = { error_code: 'thread_unsupported_request', unsupported: ['thread'] } as const;

export function messageErrorBody(
  { reason, message, param }: MeshError,
  requestId: string,
): MessageErrorBody {
  const { http } = ERRORS[reason];
  const type = TYPES[http] ?? (http < 500 ? 'invalid_request_error' : 'api_error');
  const error = {
    type,
    message,
    doc: docOf(reason),
    ...(param === 'thread' && { details: NO_THREADS }),
  };
  return { type: 'error', error, request_id: requestId };
}
