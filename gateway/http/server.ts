import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { acceptForms, type FormLimits } from '#gateway/http/body/form-reader.ts';
import { acceptJson } from '#gateway/http/body/json-body.ts';
import type { JsonLimits } from '#gateway/http/body/json-bounds.ts';
import type { ReceiveLimits } from '#gateway/http/body/receive-body.ts';
import { dropUnreadBodies } from '#gateway/http/body/unread-body.ts';
import { excerpt } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { type ApiKeys, isOpenPath } from './auth.ts';
import { allowOrigins } from './cors.ts';
import { answerErrors, answerMalformedHttp, sendError, toMeshError } from './errors-to-http.ts';
import type { HttpMetrics } from './http-metrics.ts';
import { requestId } from './request-id.ts';
import type { Route } from './route.ts';

/**
 * Milliseconds; load balancers usually reuse idle connections for 60 s, so we must not close them
 * first.
 */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;
/** Milliseconds within which a request must have arrived completely. */
const RECEIVE_TIMEOUT_MS = 120_000;
const MAX_PARAM_LENGTH = 512;

/** Limits on a body. */
export interface BodyLimits {
  readonly receive: ReceiveLimits;
  readonly json: JsonLimits;
  readonly form: FormLimits;
}

export interface ServerOptions {
  readonly routes: readonly Route[];
  readonly apiKeys: ApiKeys;
  readonly metrics: HttpMetrics;
  readonly log: Log;
  readonly bodies: BodyLimits;
  readonly corsAllowOrigin: readonly string[];
}

/** Builds the HTTP server: the common parts, then the routes. */
export function createServer(options: ServerOptions): FastifyInstance {
  const app = fastify({
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    requestTimeout: RECEIVE_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    genReqId: requestId,
    clientErrorHandler: answerMalformedHttp,
    // A path that cannot be decoded has no route, so no hook has run for it.
    frameworkErrors: (error, request, reply) => {
      reply.header('x-request-id', request.id);
      sendError(reply, toMeshError(error, options.log, request));
    },
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH, ignoreTrailingSlash: true },
  });
  const { receive, json } = options.bodies;
  acceptJson(app, { ...json, ...receive });
  dropUnreadBodies(app, receive.maxBytes);
  answerErrors(app, options.log);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    reply.raw.on('close', () => receive.memory.release(request.raw));
  });
  allowOrigins(app, options.corsAllowOrigin);
  app.addHook('onRequest', async (request) => {
    if (!isOpenPath(pathOf(request.url))) options.apiKeys.check(request.headers.authorization);
  });
  app.addHook('onSend', async (_, reply) => {
    reply.header('openai-processing-ms', String(Math.round(reply.elapsedTime)));
  });
  observeRequests(app, options);
  refuseUnknownRoutes(app, options.routes);
  for (const route of options.routes) addRoute(app, route, options.bodies);
  return app;
}

function addRoute(
  app: FastifyInstance,
  { method, path, body, handle }: Route,
  { receive, form }: BodyLimits,
): void {
  const route = {
    method,
    url: path,
    handler: (request: FastifyRequest, reply: FastifyReply) => handle(request, reply),
  };
  if (body === undefined) {
    app.route(route);
    return;
  }
  // Forms have a scope of their own, so that no other route takes them.
  void app.register(async (scope) => {
    acceptForms(scope, { ...form, ...receive });
    scope.route(route);
  });
}

function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end === -1 ? url : url.slice(0, end);
}

/** Counts and logs each request once, when its answer has ended. */
function observeRequests(app: FastifyInstance, { metrics, log }: ServerOptions): void {
  app.addHook('onResponse', async (request, reply) => {
    const handler = request.routeOptions.url ?? 'unknown';
    const { method, id } = request;
    const status = reply.raw.statusCode;
    const elapsedMs = Math.round(reply.elapsedTime);
    metrics.requests.add(1, { handler, method, status: `${Math.floor(status / 100)}xx` });
    metrics.duration.observe(elapsedMs / 1000, { handler, method });
    const facts = { request_id: id, status, elapsed_ms: elapsedMs };
    const line = `${method} ${handler} ${status}`;
    // An open path answers 5xx by design if nothing is ready, so that is no warning.
    if (status >= 500 && !isOpenPath(handler)) log.warn(facts, line);
    else log.debug(facts, line);
  });
}

/**
 * Refuses a request for an unknown route before its body is received, which Fastify would parse
 * first.
 */
function refuseUnknownRoutes(app: FastifyInstance, routes: readonly Route[]): void {
  app.addHook('onRequest', async (request, reply) => {
    if (!request.is404) return;
    const path = withoutSlashes(pathOf(request.url));
    const allowed = routes.filter((route) => matches(route.path, path)).map((one) => one.method);
    if (allowed.length === 0) {
      throw new MeshError('NOT_FOUND', `no such path: ${request.method} ${excerpt(path)}`);
    }
    reply.header('allow', allowed.join(', '));
    const message = `${excerpt(path)} is asked with ${allowed.join(' or ')}, got ${request.method}`;
    throw new MeshError('METHOD_NOT_ALLOWED', message);
  });
}

/** Returns a path without the slashes at its end. */
function withoutSlashes(path: string): string {
  let end = path.length;
  while (path[end - 1] === '/') end--;
  return path.slice(0, end);
}

function matches(pattern: string, path: string): boolean {
  return pattern.endsWith('/*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern;
}
