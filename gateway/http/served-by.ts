import type { FastifyReply } from 'fastify';

const SERVED_BY = 'x-autoglm-served-by';

/**
 * Says in a header who answers instead of the model. A stream that heartbeats have opened before has
 * sent its headers, so it is told by a comment line.
 */
export function labelReply(reply: FastifyReply, servedBy: string): void {
  if (reply.raw.headersSent) reply.raw.write(`: ${SERVED_BY}: ${servedBy}\n\n`);
  else reply.header(SERVED_BY, servedBy);
}
