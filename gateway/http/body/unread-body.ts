import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { ERRORS } from '#mesh/errors.ts';
import { watchPace } from './pace.ts';
import { isGivenUp, type ReceiveLimits } from './receive-body.ts';

/** Number of largest bodies after which a client that still sends is not expected to read. */
const MAX_DROPPED_BODIES = 8;
/** Bytes that are dropped of a client without a valid key: those that are on their way. */
const MAX_FOREIGN_BYTES = 1_000_000;

/**
 * Lets a client read an answer that is given before its body has arrived completely. If the
 * connection were closed at once, as Fastify does, bytes that arrive later would reset it and the
 * answer would be lost. So the rest of the body is received and dropped, which costs only the
 * network, and a client is cut off only if it sends many times more than a body may have, or slowly.
 */
export function dropUnreadBodies(app: FastifyInstance, { maxBytes, pace }: ReceiveLimits): void {
  app.addHook('onSend', ({ raw }, reply, _payload, done) => {
    if (hasUnreadBody(raw) && !isGivenUp(raw)) dropRest(raw, reply, { maxBytes, pace });
    done();
  });
}

/** Tells whether more of a body comes; a request without one may be answered before its end is read. */
function hasUnreadBody({ complete, socket, headers }: IncomingMessage): boolean {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = headers;
  return !complete && !socket.destroyed && (encoding !== undefined || Number(length) > 0);
}

function dropRest(
  raw: IncomingMessage,
  reply: FastifyReply,
  { maxBytes, pace }: Pick<ReceiveLimits, 'maxBytes' | 'pace'>,
): void {
  reply.removeHeader('connection');
  const maxDropped =
    reply.statusCode === ERRORS.UNAUTHENTICATED.http
      ? MAX_FOREIGN_BYTES
      : MAX_DROPPED_BODIES * maxBytes;
  let numDropped = 0;
  const cutOff = () => raw.socket.destroy();
  const stopWatch = watchPace(raw, pace, { onSlow: cutOff, onCrumbs: cutOff });
  raw.on('data', (chunk: Buffer) => {
    numDropped += chunk.length;
    if (numDropped > maxDropped) cutOff();
  });
  raw.socket.once('close', stopWatch);
  raw.on('end', () => {
    stopWatch();
    raw.socket.off('close', stopWatch);
  });
}
