import { randomUUID } from 'node:crypto';
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isMessagesPath, messageErrorBody } from '#gateway/anthropic/error-body.ts';
import { errorBody } from '#gateway/openai/error-body.ts';
import { excerpt } from '#mesh/client-text.ts';
import { ERRORS, MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import type { AccessLog } from './access-log.ts';
import { noteFailure } from './request-failure.ts';
import { requestFields } from './request-fields.ts';
import { pathOf } from './request-target.ts';

/** Random share by which clients come later than told, so that they do not all come at once. */
const RETRY_JITTER = 0.25;

/** Answers every failure in the shape of the API that is asked, with the status of the error table. */
export function answerErrors(app: FastifyInstance, log: Log): void {
  app.setErrorHandler((error, request, reply) => {
    const failure = toMeshError(error, log, request);
    noteFailure(request, failure);
    sendError(reply, failure);
  });
}

export function sendError(reply: FastifyReply, error: MeshError): void {
  const { http, retryElsewhere } = ERRORS[error.reason];
  // Clients of OpenAI repeat 408, 409, 429 and 5xx by themselves unless they are told.
  reply.header('x-should-retry', String(retryElsewhere));
  const { retryAfterMs } = error;
  if (retryAfterMs !== undefined) {
    const milliseconds = Math.max(1, Math.ceil(retryAfterMs * (1 + RETRY_JITTER * Math.random())));
    reply.header('retry-after-ms', String(milliseconds));
    reply.header('retry-after', String(Math.ceil(milliseconds / 1000)));
  }
  if (error.reason === 'UNAUTHENTICATED') reply.header('www-authenticate', 'Bearer');
  const { id, url } = reply.request;
  const isMessages = isMessagesPath(pathOf(url));
  if (isMessages) reply.header('request-id', id);
  reply.code(http).send(isMessages ? messageErrorBody(error, id) : errorBody(error));
}

/**
 * Turns a failure into a MeshError; an unforeseen one is logged with its stack and answered without
 * detail.
 */
export function toMeshError(error: unknown, log: Log, request: FastifyRequest): MeshError {
  if (error instanceof MeshError) return error;
  const refusal = fromFramework(error);
  if (refusal !== undefined) return refusal;
  log.error({ ...requestFields(request), err: error }, 'unexpected failure in the gateway');
  return new MeshError('ENGINE_FAILED', 'internal error; see the log of the gateway');
}

/** Answers bytes that are not HTTP; there is no request and so no route, and `log` counts them. */
export function answerMalformedHttp(
  error: Error,
  socket: Socket,
  log: Pick<AccessLog, 'malformed'>,
): void {
  if (!socket.writable || ('code' in error && error.code === 'ECONNRESET')) {
    socket.destroy();
    return;
  }
  const { status, refusal } = malformedHttp(error);
  log.malformed(refusal, status);
  endWithError(socket, refusal, status);
}

/** Answers CONNECT, for which Node hands over the connection instead of a response. */
export function answerConnect(
  { url = '' }: Pick<IncomingMessage, 'url'>,
  socket: Duplex,
  log: Pick<AccessLog, 'malformed'>,
): void {
  const message = `CONNECT ${excerpt(url)}: this server is no proxy`;
  const refusal = new MeshError('METHOD_NOT_ALLOWED', message);
  log.malformed(refusal, ERRORS[refusal.reason].http);
  endWithError(socket, refusal);
}

/** Ends a connection with an error that answers no request of Fastify's. */
export function endWithError(
  socket: Duplex,
  error: MeshError,
  status: number = ERRORS[error.reason].http,
): void {
  const { headers, body } = bareError(error);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  // A client that has gone meanwhile is nobody's failure.
  socket.on('error', () => {});
  socket.end(
    `${[`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines].join('\r\n')}\r\n\r\n${body}`,
  );
}

interface BareError {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Returns the answer that ends a connection of which Fastify knows nothing. */
export function bareError(error: MeshError): BareError {
  const body = JSON.stringify(errorBody(error));
  const { retryAfterMs } = error;
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    'x-request-id': randomUUID(),
    'x-should-retry': String(ERRORS[error.reason].retryElsewhere),
    ...(retryAfterMs !== undefined && { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) }),
    connection: 'close',
  };
  return { headers, body };
}

/** Says what was wrong with bytes that Node's parser refused. */
function malformedHttp(error: Error): { readonly status: number; readonly refusal: MeshError } {
  const refusal = (message: string) => new MeshError('INVALID_REQUEST', message);
  switch ('code' in error ? error.code : undefined) {
    case 'HPE_HEADER_OVERFLOW':
      return { status: 431, refusal: refusal('the head of the request is longer than 16 kB') };
    case 'ERR_HTTP_REQUEST_TIMEOUT': {
      const message = 'the request did not arrive in time';
      return { status: 408, refusal: new MeshError('BODY_TOO_SLOW', message) };
    }
    default:
      return { status: 400, refusal: refusal('not a well-formed HTTP request') };
  }
}

/** Translates Fastify's own refusals of a request. */
function fromFramework(error: unknown): MeshError | undefined {
  if (!(error instanceof Error) || !('statusCode' in error) || !('code' in error)) return undefined;
  switch (error.code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new MeshError('UNSUPPORTED_CONTENT_TYPE', 'send "Content-Type: application/json"', {
        cause: error,
      });
    default: {
      const isRefusal = typeof error.statusCode === 'number' && error.statusCode < 500;
      return isRefusal
        ? new MeshError('INVALID_REQUEST', excerpt(error.message), { cause: error })
        : undefined;
    }
  }
}
