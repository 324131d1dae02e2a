import type { FastifyInstance } from 'fastify';

const METHODS = 'GET, HEAD, POST, OPTIONS';
/** Headers that are allowed if the browser asks for none by name. */
const HEADERS = 'authorization, content-type, x-request-id';
/** Longest list of headers that is repeated. */
const MAX_ASKED_CHARS = 2000;
/** Headers of an answer that a page may read. */
const EXPOSED = [
  'idempotent-replayed',
  'openai-processing-ms',
  'original-request',
  'request-id',
  'retry-after',
  'retry-after-ms',
  'x-autoglm-served-by',
  'x-autoglm-warning',
  'x-request-id',
  'x-should-retry',
].join(', ');
/** A list of header names (RFC 9110, section 5.6.2). */
const HEADER_NAMES = /^[\w!#$%&'*+.^`|~-]+(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~-]+)*$/;

/**
 * Lets pages of the given origins (or `*`) call the API; preflights need no key. Every header that
 * a browser asks for is allowed, because SDKs send headers of their own, and none of them means
 * more than the key.
 */
export function allowOrigins(app: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  const isAny = origins.includes('*');
  app.addHook('onRequest', (request, reply, done) => {
    const { origin } = request.headers;
    if (!isAny) reply.header('vary', 'origin');
    const isAllowed = origin !== undefined && (isAny || origins.includes(origin));
    if (isAllowed) {
      reply.header('access-control-allow-origin', isAny ? '*' : origin);
      reply.header('access-control-expose-headers', EXPOSED);
    }
    if (!isAllowed || request.method !== 'OPTIONS') {
      done();
      return;
    }
    const asked = request.headers['access-control-request-headers'];
    reply.headers({
      'access-control-allow-methods': METHODS,
      'access-control-allow-headers': isHeaderList(asked) ? asked : HEADERS,
      'access-control-max-age': '86400',
    });
    reply.code(204).send();
  });
}

function isHeaderList(asked: string | undefined): asked is string {
  return asked !== undefined && asked.length <= MAX_ASKED_CHARS && HEADER_NAMES.test(asked);
}
