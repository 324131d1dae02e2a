import { createServer as createHttpServer, type Server } from 'node:http';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { checkExpectation, deferContinue } from '#gateway/http/body/expect-continue.ts';
import { acceptForms, type FormLimits } from '#gateway/http/body/form-reader.ts';
import { acceptJson } from '#gateway/http/body/json-body.ts';
import type { JsonLimits } from '#gateway/http/body/json-bounds.ts';
import { JsonParser } from '#gateway/http/body/json-parser.ts';
import type { ReceiveLimits } from '#gateway/http/body/receive-body.ts';
import { checkTransferCoding } from '#gateway/http/body/transfer-coding.ts';
import { dropUnreadBodies } from '#gateway/http/body/unread-body.ts';
import type { RequestObserver } from '#gateway/requests/request-observer.ts';
import { recordOf } from '#gateway/requests/request-record.ts';
import type { Log } from '#mesh/log/log.ts';
import { AllowedHosts, namedHosts } from '#mesh/process/allowed-hosts.ts';
import { endStage } from '#mesh/trace/stages.ts';
import { AccessLog } from './access-log.ts';
import { type ApiKeys, authorizationOf, isOpenPath } from './auth.ts';
import type { Connections } from './connections.ts';
import { allowOrigins } from './cors.ts';
import {
  answerConnect,
  answerErrors,
  answerMalformedHttp,
  sendError,
  toMeshError,
} from './errors-to-http.ts';
import type { HttpMetrics } from './http-metrics.ts';
import type { InFlight } from './in-flight.ts';
import { boundPipelining } from './pipelined-requests.ts';
import { noteFailure } from './request-failure.ts';
import { requestId } from './request-id.ts';
import { pathOf, plainTarget } from './request-target.ts';
import type { Route } from './route.ts';
import { refuseUnknownRoutes } from './route-table.ts';
import { cutOffSlowReader } from './slow-reader.ts';

/**
 * Milliseconds; load balancers usually reuse idle connections for 60 s, so we must not close them
 * first.
 */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;
/** Milliseconds within which the head of a request must have arrived. */
const HEADERS_TIMEOUT_MS = 10_000;
/** Milliseconds within which a request must have arrived completely. */
const RECEIVE_TIMEOUT_MS = 120_000;
/** Milliseconds between two looks at which connections are late. */
const CHECK_INTERVAL_MS = 1000;
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
  readonly observer: RequestObserver;
  readonly log: Log;
  readonly bodies: BodyLimits;
  readonly connections: Connections;
  /** Says whether work is taken, before a body is received for it. */
  readonly inFlight: Pick<InFlight, 'check' | 'isDraining'>;
  readonly corsAllowOrigin: readonly string[];
  /** Names of this server besides addresses and local names. */
  readonly allowedHosts: readonly string[];
  /** Milliseconds after which a client that does not read its answer is cut off. */
  readonly stallMs: number;
}

/** The HTTP server, and its listeners: one, or one for each address of a name. */
export interface HttpServer {
  readonly app: FastifyInstance;
  readonly listeners: readonly Server[];
}

/** Builds the HTTP server: the common parts, then the routes. */
export function createServer(options: ServerOptions): HttpServer {
  const listeners: Server[] = [];
  const accessLog = new AccessLog(options);
  const app = fastify({
    forceCloseConnections: 'idle',
    genReqId: requestId,
    clientErrorHandler: (error, socket) => answerMalformedHttp(error, socket, accessLog),
    serverFactory: (handle) => {
      const open = boundPipelining(handle, accessLog);
      const server = createHttpServer(SERVER_SETTINGS, open);
      deferContinue(server, open);
      server.on('connect', (request, socket) => answerConnect(request, socket, accessLog));
      options.connections.watch(server);
      listeners.push(server);
      return server;
    },
    rewriteUrl: ({ url = '/' }) => plainTarget(url),
    // A path that cannot be decoded has no route, so no hook has run for it.
    frameworkErrors: (error, request, reply) => {
      accessLog.watch(request, reply);
      reply.header('x-request-id', request.id);
      const failure = toMeshError(error, options.log, request);
      noteFailure(request, failure);
      sendError(reply, failure);
    },
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
  });
  const { receive, json } = options.bodies;
  acceptJson(app, { ...json, receive, parser: new JsonParser() });
  dropUnreadBodies(app, receive);
  answerErrors(app, options.log);
  beginRequests(app, options, accessLog);
  admitRequests(app, options);
  recordRequests(app, options);
  endAnswers(app, options);
  refuseUnknownRoutes(app, options.routes);
  refuseExcessWork(app, options);
  for (const route of options.routes) {
    addRoute(app, route, options.bodies);
    if (route.method === 'POST') options.metrics.expect(route);
  }
  return { app, listeners };
}

const SERVER_SETTINGS = {
  // Hosts are looked at with the rest of a request, whose refusals have a body.
  requireHostHeader: false,
  keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
  headersTimeout: HEADERS_TIMEOUT_MS,
  requestTimeout: RECEIVE_TIMEOUT_MS,
  connectionsCheckingInterval: CHECK_INTERVAL_MS,
} as const;

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
  if (body !== 'form') {
    app.route(route);
    return;
  }
  // Forms have a scope of their own, so that no other route takes them.
  void app.register(async (scope) => {
    acceptForms(scope, { ...form, receive });
    scope.route(route);
  });
}

/** Names each request, watches it to its end, and frees what its body took then. */
function beginRequests(
  app: FastifyInstance,
  { bodies, inFlight, connections }: ServerOptions,
  accessLog: AccessLog,
) {
  // Fastify takes the time of a request, `elapsedTime`, only where a hook waits for its end.
  app.addHook('onResponse', (_request, _reply, done) => done());
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    accessLog.watch(request, reply);
    reply.raw.on('close', () => bodies.receive.memory.release(request.raw));
    // A client of a server that is about to go should open its next connection to another one.
    if (inFlight.isDraining || connections.isReserved(request.raw)) {
      reply.raw.shouldKeepAlive = false;
    }
    done();
  });
}

/** Lets in who may ask: pages of allowed origins, clients with a key, names of this server. */
function admitRequests(app: FastifyInstance, options: ServerOptions): void {
  const { apiKeys, connections, corsAllowOrigin } = options;
  const hosts = new AllowedHosts(apiKeys.areRequired ? ['*'] : options.allowedHosts);
  app.addHook('onRequest', (request, _reply, done) => {
    checkExpectation(request.raw);
    checkTransferCoding(request.raw);
    for (const host of namedHosts(request.originalUrl, request.raw)) hosts.check(host);
    done();
  });
  allowOrigins(app, corsAllowOrigin);
  app.addHook('onRequest', (request, _reply, done) => {
    if (!isOpenPath(pathOf(request.url))) {
      connections.check(request.raw);
      apiKeys.check(authorizationOf(request.headers));
    }
    done();
  });
}

/** Refuses work that would be refused later before its body is received. */
function refuseExcessWork(app: FastifyInstance, { inFlight }: ServerOptions): void {
  app.addHook('onRequest', (request, _reply, done) => {
    if (request.method === 'POST' && !isOpenPath(pathOf(request.url))) inFlight.check();
    done();
  });
}

function endAnswers(app: FastifyInstance, { inFlight, stallMs }: ServerOptions): void {
  app.addHook('onSend', (_request, reply, _payload, done) => {
    reply.header('openai-processing-ms', String(Math.round(reply.elapsedTime)));
    if (inFlight.isDraining) reply.raw.shouldKeepAlive = false;
    cutOffSlowReader(reply.raw, stallMs);
    done();
  });
}

/** Keeps a record of each request for work that is let in, from its arrival. */
function recordRequests(app: FastifyInstance, { observer }: ServerOptions): void {
  app.addHook('onRequest', (request, reply, done) => {
    const { url: route } = request.routeOptions;
    if (request.method === 'POST' && route !== undefined) {
      const startMs = performance.now() - reply.elapsedTime;
      const { raw, id, method } = request;
      const { stages } = observer.begin({ raw, id, method, route, startMs });
      stages.begin({ name: 'receive' }, startMs);
    }
    done();
  });
  app.addHook('preHandler', (request, _reply, done) => {
    const [receive] = recordOf(request)?.stages.list ?? [];
    if (receive !== undefined) endStage(receive);
    done();
  });
}
