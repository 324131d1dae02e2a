import type { FastifyInstance } from 'fastify';

const HEADERS = {
  'access-control-allow-methods': 'GET, POST, OPTIONS',
  'access-control-allow-headers': 'authorization, content-type, x-request-id',
  'access-control-max-age': '86400',
} as const;

/** Lets pages of the given origins (or `*`) call the API; preflights need no key. */
export function allowOrigins(app: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  const isAny = origins.includes('*');
  app.addHook('onRequest', async (request, reply) => {
    const { origin } = request.headers;
    if (origin === undefined || !(isAny || origins.includes(origin))) return;
    reply.header('access-control-allow-origin', isAny ? '*' : origin);
    reply.header('access-control-expose-headers', 'x-request-id, openai-processing-ms');
    if (!isAny) reply.header('vary', 'origin');
    if (request.method === 'OPTIONS') return reply.code(204).headers(HEADERS).send();
  });
}
