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
  /** What has happened, for the page of errors. */
  readonly meaning: string;
  /** What helps, for the same page. */
  readonly cure: string;
}

const invalid = { type: 'invalid_request_error', retryElsewhere: false } as const;
const soon = { retryElsewhere: true, retryAfterMs: 1000 } as const;
const server = { type: 'server_error' } as const;

/**
 * The table of failures: the only place that maps a reason to gRPC and HTTP. `npm run gen` writes it
 * as `ERRORS.md`.
 */
export const ERRORS = {
  INVALID_REQUEST: {
    status: Status.INVALID_ARGUMENT,
    http: 400,
    ...invalid,
    meaning:
      'A field of the request, or at start an option or a file of a model, is missing, of the wrong type or out of range. A head of more than 16 kB has this reason with status 431.',
    cure: 'Read the message: it names the field or key (`param`), what was received and what is allowed. Mend the request; repeated as it is, it fails again.',
  },
  CONTEXT_LENGTH_EXCEEDED: {
    status: Status.INVALID_ARGUMENT,
    http: 400,
    ...invalid,
    meaning: "The prompt and the tokens asked for are longer than the model's context.",
    cure: 'Send fewer messages or images, lower `max_tokens`, cut the prompt by `truncate_prompt_tokens`, or raise `max-model-len` if the checkpoint has positions for more.',
  },
  UNSUPPORTED_MEDIA: {
    status: Status.INVALID_ARGUMENT,
    http: 400,
    ...invalid,
    meaning:
      'An image or recording is damaged, empty, of a format that is not read, or of a kind that the model has no encoder for.',
    cure: 'Send PNG, JPEG, WebP, GIF, WAV, FLAC, MP3, Ogg or WebM as the message says; check that the file opens elsewhere; for a model without that encoder leave the item out.',
  },
  REQUEST_EXCEEDS_KV_CACHE: {
    status: Status.INVALID_ARGUMENT,
    http: 400,
    ...invalid,
    meaning: 'The prompt fits the context, but never the whole KV cache of the instance.',
    cure: 'Send a shorter prompt, or give the backbone more by `kv-cache-gb`, `gpu-memory-utilization` or `kv-cache-dtype: int8`.',
  },
  UNAUTHENTICATED: {
    status: Status.UNAUTHENTICATED,
    http: 401,
    type: 'authentication_error',
    retryElsewhere: false,
    meaning: 'The request has no key, or one that is not among those of `api-key`.',
    cure: 'Send `Authorization: Bearer KEY`; clients of OpenAI take the key as `api_key`.',
  },
  MODEL_NOT_FOUND: {
    status: Status.NOT_FOUND,
    http: 404,
    ...invalid,
    meaning:
      'No replica serves a model of this name, or an encoder has other weights than its caller expects.',
    cure: 'Use a name of `GET /v1/models`, or leave `model` out; `served-model-name` gives a model further names. Between processes: start the encoders with the `model` of the backbone.',
  },
  NOT_FOUND: {
    status: Status.NOT_FOUND,
    http: 404,
    ...invalid,
    meaning: 'The path, method or thing that was asked for does not exist.',
    cure: 'Check the path: `base_url` of a client of OpenAI ends in `/v1`. A request that is not remembered any more: raise `request-history`.',
  },
  METHOD_NOT_ALLOWED: {
    status: Status.UNIMPLEMENTED,
    http: 405,
    ...invalid,
    meaning: 'The path exists, but not for this HTTP method.',
    cure: 'Use a method of the header `allow` of the answer.',
  },
  BODY_TOO_SLOW: {
    status: Status.DEADLINE_EXCEEDED,
    http: 408,
    ...invalid,
    meaning: 'The request or its body arrived too slowly, or stopped arriving.',
    cure: 'Send it again over a better connection, or raise `body-stall-timeout-s`. Behind a proxy, let it buffer requests.',
  },
  HOST_NOT_ALLOWED: {
    status: Status.PERMISSION_DENIED,
    http: 403,
    ...invalid,
    meaning:
      'The Host header names none of the names of this server; without a key, only addresses and localhost are served, so that no page of another origin reaches it by a name of its own.',
    cure: 'Add the name to `allowed-hosts`, or set an `api-key`.',
  },
  PAYLOAD_TOO_LARGE: {
    status: Status.INVALID_ARGUMENT,
    http: 413,
    ...invalid,
    meaning: 'The body, a media item or the text of the prompt has more bytes than is allowed.',
    cure: 'Send less: scale screenshots down, cut recordings. Or raise the limit that the message names: `max-body-mb`, `max-media-mb`, `max-total-media-mb`, `max-prompt-mb`, `max-item-mb`.',
  },
  UNSUPPORTED_CONTENT_TYPE: {
    status: Status.INVALID_ARGUMENT,
    http: 415,
    ...invalid,
    meaning: 'The body is of a content type or encoding that the route does not read.',
    cure: 'Send `Content-Type: application/json`, for transcriptions `multipart/form-data`; a compressed body as gzip, deflate or br.',
  },
  EXPECTATION_FAILED: {
    status: Status.INVALID_ARGUMENT,
    http: 417,
    ...invalid,
    meaning: 'The header `Expect` asks for something else than `100-continue`.',
    cure: 'Leave the header out.',
  },
  QUARANTINED: {
    status: Status.FAILED_PRECONDITION,
    http: 422,
    ...invalid,
    meaning:
      'This content was being computed when two processes crashed, so it is refused for some minutes.',
    cure: 'Do not send it again. Operators: the log names the crashes; report them with the content.',
  },
  IDEMPOTENCY_KEY_REUSED: {
    status: Status.FAILED_PRECONDITION,
    http: 422,
    ...invalid,
    meaning: 'The `Idempotency-Key` was used before with another body.',
    cure: 'Make a key for each request, such as a UUID, and repeat it only with the same body.',
  },
  MEDIA_FETCH_FAILED: {
    status: Status.FAILED_PRECONDITION,
    http: 424,
    ...invalid,
    meaning:
      'A media URL could not be fetched: its server failed, redirected too often or was too slow, or its address may not be fetched from.',
    cure: 'Try the URL from the host of the gateway, or send the item inline as base64. `media-fetch-timeout-s`, `allowed-media-domains` and `media-fetch-allow-private` say what is fetched.',
  },
  QUEUE_FULL: {
    status: Status.RESOURCE_EXHAUSTED,
    http: 429,
    type: 'rate_limit_error',
    ...soon,
    meaning:
      'As many requests, connections or bytes are inside as may be, at the gateway or at every replica.',
    cure: 'Retry after the header `retry-after`; clients of OpenAI do by themselves. If it lasts, add replicas (`autoglm scale llm-backbone=2`) or raise the limit that the message names, such as `max-num-waiting` or `max-concurrent-requests`.',
  },
  CANCELLED: {
    status: Status.CANCELLED,
    http: 499,
    ...server,
    retryElsewhere: false,
    meaning:
      'The client left, or did not read its stream, before its answer was whole. Nobody receives this status; logs and metrics have it.',
    cure: "Raise the client's timeout. Cut off for not reading: read faster, or raise `stall-timeout-s`.",
  },
  DRAINING: {
    status: Status.UNAVAILABLE,
    http: 503,
    ...server,
    ...soon,
    meaning: 'The process is ending: it finishes what runs and takes nothing new.',
    cure: 'Retry: another replica or the process that follows answers. With a single gateway this happens at every restart; several behind a proxy hide it.',
  },
  NO_READY_ENDPOINT: {
    status: Status.UNAVAILABLE,
    http: 503,
    ...server,
    ...soon,
    meaning:
      'No process that could do the work is ready: it loads, restarts, is cut off, or has no memory for the item.',
    cure: 'Retry after `retry-after`. `autoglm status` names the processes and their states, their logs say why; if a restart takes longer than `recovery-wait-s`, raise that, or run replicas.',
  },
  DEADLINE_EXCEEDED: {
    status: Status.DEADLINE_EXCEEDED,
    http: 504,
    ...server,
    retryElsewhere: false,
    meaning: 'The answer was not whole within the time that it is given.',
    cure: 'Ask for fewer tokens, raise `request-timeout-s` (`prompt-timeout-s` if the message names the prompt), or find the slow stage with `autoglm trace REQUEST_ID`.',
  },
  ENGINE_FAILED: {
    status: Status.INTERNAL,
    http: 500,
    ...server,
    retryElsewhere: true,
    meaning:
      'A step of an engine failed, a process broke the contract between them, or something happened that nobody foresaw.',
    cure: 'Retry. The log of the process has the cause, once, under the same `request_id`; if it comes back, report it with those lines.',
  },
  ENGINE_DEAD: {
    status: Status.UNAVAILABLE,
    http: 503,
    ...server,
    ...soon,
    meaning:
      "A process's engine failed several times in a row or stands still, so the process ends and is started again.",
    cure: 'Retry. If it recurs: the log names the step; look at the device (`nvidia-smi`, `dmesg`) and raise `step-timeout-s` on a machine that is only slow.',
  },
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

/** The page on which every reason stands under a heading of its own. */
export const ERROR_PAGE = 'services/mesh/ERRORS.md';

/** Returns where a reason is explained: the page's path in the repository, and the heading's anchor. */
export function docOf(reason: ErrorReason): string {
  return `${ERROR_PAGE}#${reason.toLowerCase()}`;
}

export function isErrorReason(value: string): value is ErrorReason {
  return Object.hasOwn(ERRORS, value);
}
