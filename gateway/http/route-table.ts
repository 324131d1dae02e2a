import type { FastifyInstance } from 'fastify';
import { excerpt } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import { pathOf } from './request-target.ts';
import type { Route } from './route.ts';

/**
 * Answers a request that no route takes before its body is received, which Fastify would parse
 * first: an unknown path, a wrong method, and the question which methods a path has.
 */
export function refuseUnknownRoutes(app: FastifyInstance, routes: readonly Route[]): void {
  app.addHook('onRequest', (request, reply, done) => {
    if (!request.is404) {
      done();
      return;
    }
    const path = pathOf(request.url);
    const methods = methodsOf(path, routes);
    if (methods.length === 0) {
      const hint = hintFor(path, routes);
      throw new MeshError('NOT_FOUND', `no such path: ${request.method} ${excerpt(path)}${hint}`);
    }
    reply.header('allow', methods.join(', '));
    if (request.method === 'OPTIONS') {
      reply.code(204).send();
      return;
    }
    const asked = methods.filter((method) => method === 'GET' || method === 'POST');
    const message = `${excerpt(path)} is asked with ${asked.join(' or ')}, got ${request.method}`;
    throw new MeshError('METHOD_NOT_ALLOWED', message);
  });
}

/** A path of OpenAI's API that asks for what an earlier request has left. */
const STORED = /^\/v1\/(?:responses|conversations)\/./;
const NOT_STORED = 'nothing is stored here; send every item to POST /v1/responses';

/** Says what an unknown path may have meant; "" if it is near none. */
function hintFor(path: string, routes: readonly Route[]): string {
  if (STORED.test(path)) return `; ${NOT_STORED}`;
  // Base URLs of some clients end in /v1, those of others do not.
  const meant = [`/v1${path}`, path.replace(/^\/v1\//, '/')];
  const known = meant.find((one) => methodsOf(one, routes).length > 0);
  return known === undefined ? '' : `; did you mean ${excerpt(known)}?`;
}

/** Returns the methods that a path takes; none if there is no such path. */
function methodsOf(path: string, routes: readonly Route[]): string[] {
  const own = routes.filter((route) => matches(route.path, path)).map(({ method }) => method);
  return own.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
}

function matches(pattern: string, path: string): boolean {
  return pattern.endsWith('/*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern;
}
