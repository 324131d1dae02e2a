import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { errorBody } from '#gateway/openai/error-body.ts';
import { excerpt } from '#mesh/client-text.ts';
import { ERRORS, MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';

/** Answers every failure in OpenAI's shape with the status of the error table. */
export function answerErrors(app: FastifyInstance, log: Log): void {
  app.setErrorHandler((error, request, reply) => {
    sendError(reply, toMeshError(error, log, request));
  });
}

export function sendError(reply: FastifyReply, error: MeshError): void {
  const { http } = ERRORS[error.reason];
  const { retryAfterMs } = error;
  if (retryAfterMs !== undefined) {
    const milliseconds = Math.max(1, Math.ceil(retryAfterMs));
    reply.header('retry-after-ms', String(milliseconds));
    reply.header('retry-after', String(Math.ceil(milliseconds / 1000)));
  }
  if (error.reason === 'UNAUTHENTICATED') reply.header('www-authenticate', 'Bearer');
  reply.code(http).send(errorBody(error));
}

/**
 * Turns a failure into a MeshError; an unforeseen one is logged with its stack and answered without
 * detail.
 */
export function toMeshError(error: unknown, log: Log, request: FastifyRequest): MeshError {
  if (error instanceof MeshError) return error;
  const refusal = fromFramework(error);
  if (refusal !== undefined) return refusal;
  log.error({ err: error, request_id: request.id }, 'unexpected failure in the gateway');
  return new MeshError('ENGINE_FAILED', 'internal error; see the log of the gateway');
}

/** Answers bytes that are not HTTP; there is no request and so no route. */
export function answerMalformedHttp(error: Error, socket: Socket): void {
  if (!socket.writable || ('code' in error && error.code === 'ECONNRESET')) {
    socket.destroy();
    return;
  }
  const refusal = new MeshError(
    'INVALID_REQUEST',
    'not a well-formed HTTP request, or not in time',
  );
  const body = JSON.stringify(errorBody(refusal));
  const head = [
    'HTTP/1.1 400 Bad Request',
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${randomUUID()}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
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
