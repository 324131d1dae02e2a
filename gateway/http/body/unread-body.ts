import type { FastifyInstance } from 'fastify';

/** Number of largest bodies after which a client that still sends is not expected to read. */
const MAX_DROPPED_BODIES = 8;

/**
 * Lets a client read an answer that is given before its body has arrived completely. If the
 * connection were closed at once, as Fastify does, bytes that arrive later would reset it and the
 * answer would be lost. So the rest of the body is received and dropped, which costs only the
 * network, and a client is cut off only if it sends many times more than a body may have.
 */
export function dropUnreadBodies(app: FastifyInstance, maxBytes: number): void {
  app.addHook('onSend', async ({ raw }, reply) => {
    if (raw.complete) return;
    reply.removeHeader('connection');
    let numDropped = 0;
    raw.on('data', (chunk: Buffer) => {
      numDropped += chunk.length;
      if (numDropped > MAX_DROPPED_BODIES * maxBytes) raw.socket.destroy();
    });
  });
}
