import type { FastifyInstance } from 'fastify';

/** Nobody who sends so many times what a body may have is going to read. */
const MAX_DROPPED_BODIES = 8;

/**
 * Lets a client read an answer that is given before its body has arrived whole. Closing the
 * connection at once, as Fastify does, makes what then arrives reset it, and the answer is lost with
 * it. So the rest of the body is received and dropped, at no cost but the network's, and only a
 * client that sends more than a body may have is cut off.
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
