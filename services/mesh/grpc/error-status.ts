import { Metadata as ServerMetadata, type StatusObject } from '@grpc/grpc-js';
import {
  type CallOptions,
  ClientError,
  type ClientMiddleware,
  type Metadata,
  ServerError,
  type ServerMiddleware,
  Status,
} from 'nice-grpc-common';
import { cut } from '#mesh/client-text.ts';
import {
  docOf,
  ERRORS,
  type ErrorReason,
  isErrorReason,
  MAX_MESSAGE_CHARS,
  MeshError,
} from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { ErrorInfo, RetryInfo, Status as RichStatus } from '#protos/google/rpc/status.ts';

// The trailer of gRPC's rich error model: a google.rpc.Status whose details hold the reason.
export const DETAILS_TRAILER = 'grpc-status-details-bin';
const TYPE_PREFIX = 'type.googleapis.com/google.rpc.';
const DOMAIN = 'autoglm-mesh';

/** Reason for a status without ErrorInfo, which comes from grpc-js itself or a foreign server. */
const REASON_OF_BARE_STATUS: Partial<Record<Status, ErrorReason>> = {
  [Status.CANCELLED]: 'CANCELLED',
  [Status.INVALID_ARGUMENT]: 'INVALID_REQUEST',
  [Status.NOT_FOUND]: 'NOT_FOUND',
  [Status.RESOURCE_EXHAUSTED]: 'QUEUE_FULL',
  [Status.DEADLINE_EXCEEDED]: 'DEADLINE_EXCEEDED',
  [Status.UNAVAILABLE]: 'NO_READY_ENDPOINT',
  [Status.UNAUTHENTICATED]: 'UNAUTHENTICATED',
};

/** Statuses that grpc-js gives, without ErrorInfo, to calls of a process that ended. */
const LOSS_STATUSES: ReadonlySet<Status> = new Set([Status.CANCELLED, Status.UNAVAILABLE]);

function reasonOfBareStatus({ code, details: message }: ClientError): ErrorReason {
  // grpc-js has one status for a peer without room and for a message over the peer's limit.
  if (message.startsWith('Received message larger than max')) return 'PAYLOAD_TOO_LARGE';
  return REASON_OF_BARE_STATUS[code] ?? 'ENGINE_FAILED';
}

function encodeDetails(error: MeshError): Uint8Array {
  const metadata = {
    doc: docOf(error.reason),
    ...(error.param !== undefined && { param: error.param }),
  };
  const info = ErrorInfo.create({ reason: error.reason, domain: DOMAIN, metadata });
  const details = [
    { typeUrl: `${TYPE_PREFIX}ErrorInfo`, value: Buffer.from(ErrorInfo.encode(info).finish()) },
  ];
  if (error.retryAfterMs !== undefined) {
    const seconds = Math.floor(error.retryAfterMs / 1000);
    const nanos = Math.round((error.retryAfterMs - seconds * 1000) * 1e6);
    const retry = RetryInfo.create({ retryDelay: { seconds: BigInt(seconds), nanos } });
    details.push({
      typeUrl: `${TYPE_PREFIX}RetryInfo`,
      value: Buffer.from(RetryInfo.encode(retry).finish()),
    });
  }
  const { status: code } = ERRORS[error.reason];
  return RichStatus.encode({ code, message: error.message, details }).finish();
}

/** Rebuilds the MeshError that a peer threw from a failed call and its trailer. */
export function meshErrorFromStatus(error: ClientError, trailer: Metadata | undefined): MeshError {
  const encoded = trailer?.get(DETAILS_TRAILER);
  let reason: ErrorReason = reasonOfBareStatus(error);
  let param: string | undefined;
  let retryAfterMs: number | undefined;
  // The text of grpc-js names addresses and sockets, so it stays in the cause.
  const isConnectionLoss = encoded === undefined && error.code === Status.UNAVAILABLE;
  const isPeerLost = encoded === undefined && LOSS_STATUSES.has(error.code);
  const message = isConnectionLoss ? 'the connection to a service was lost' : error.details;
  for (const detail of encoded === undefined ? [] : RichStatus.decode(encoded).details) {
    if (detail.typeUrl.endsWith('ErrorInfo')) {
      const info = ErrorInfo.decode(detail.value);
      if (isErrorReason(info.reason)) reason = info.reason;
      param = info.metadata['param'];
    } else if (detail.typeUrl.endsWith('RetryInfo')) {
      const delay = RetryInfo.decode(detail.value).retryDelay;
      if (delay) retryAfterMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
    }
  }
  return new MeshError(reason, message, {
    cause: error,
    isPeerLost,
    ...(param === undefined ? {} : { param }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** Returns a message that grpc-js can write, in a trailer of bounded length. */
function details(message: string): string {
  // Half of a surrogate pair would make grpc-js throw when it encodes the trailer.
  return Buffer.from(cut(message, MAX_MESSAGE_CHARS)).toString();
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

/** Returns the status of a call that is refused before its handler has a message. */
export function refusedStatus(error: MeshError): StatusObject {
  const metadata = new ServerMetadata();
  metadata.set(DETAILS_TRAILER, Buffer.from(encodeDetails(error)));
  return { code: ERRORS[error.reason].status, details: details(error.message), metadata };
}

/** Turns a handler's error into a status; an unforeseen error is INTERNAL and logged once. */
export function errorToStatusMiddleware(log: Log): ServerMiddleware {
  return async function* errorToStatus(call, context) {
    try {
      return yield* call.next(call.request, context);
    } catch (error: unknown) {
      if (isAbort(error)) throw error;
      if (error instanceof ServerError) throw new ServerError(error.code, details(error.details));
      if (error instanceof MeshError) {
        context.trailer.set(DETAILS_TRAILER, encodeDetails(error));
        throw new ServerError(ERRORS[error.reason].status, details(error.message));
      }
      log.error({ err: error, method: call.method.path }, 'unexpected failure in a handler');
      throw new ServerError(Status.INTERNAL, 'internal error; see the log of the process');
    }
  };
}

/** Turns a failed call into the MeshError that the peer threw; aborts pass through. */
export const statusToErrorMiddleware: ClientMiddleware = async function* statusToError(
  call,
  options: CallOptions,
) {
  let trailer: Metadata | undefined;
  const observed: CallOptions = {
    ...options,
    onTrailer: (received) => {
      trailer = received;
      options.onTrailer?.(received);
    },
  };
  try {
    return yield* call.next(call.request, observed);
  } catch (error: unknown) {
    if (error instanceof ClientError) throw meshErrorFromStatus(error, trailer);
    throw error;
  }
};
