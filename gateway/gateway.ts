import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { ApiKeys } from '#gateway/http/auth.ts';
import { BodyMemory } from '#gateway/http/body/body-memory.ts';
import { InFlight } from '#gateway/http/in-flight.ts';
import type { Route } from '#gateway/http/route.ts';
import { type BodyLimits, createServer } from '#gateway/http/server.ts';
import { type Clock, systemClock } from '#mesh/async/clock.ts';
import { MeshError } from '#mesh/errors.ts';
import { isInUse, listenWhenFree } from '#mesh/listen-when-free.ts';
import type { Log } from '#mesh/log/log.ts';
import { LogMetrics } from '#mesh/log/log-metrics.ts';
import { bytesOfMb } from '#mesh/megabytes.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { Peer, type PeerKind } from '#mesh/peers/peer.ts';
import { PeerSet } from '#mesh/peers/peer-set.ts';
import { staticMembership } from '#mesh/peers/static-membership.ts';
import { drainInOrder, type Stoppable } from '#mesh/process/lifecycle.ts';
import { GatewayMetrics } from './gateway-metrics.ts';
import { ByteBudget } from './media/byte-budget.ts';
import { MediaIntake } from './media/media-intake.ts';
import { mediaLimits } from './media/media-options.ts';
import type { gatewayOptions } from './options.ts';
import { chatCompletionsRoute } from './routes/chat-completions.ts';
import { completionsRoute } from './routes/completions.ts';
import { healthRoutes } from './routes/health.ts';
import { loadRoute } from './routes/load.ts';
import { metricsRoute } from './routes/metrics.ts';
import { modelRoute, modelsRoute } from './routes/models.ts';
import type { RouteContext } from './routes/route-context.ts';
import { detokenizeRoute, tokenizeRoute } from './routes/tokenize.ts';
import { transcriptionsRoute } from './routes/transcriptions.ts';
import { versionRoute } from './routes/version.ts';
import { BACKBONE_KIND } from './routing/backbone-peer.ts';
import { Router } from './routing/router.ts';
import { SCRAPED_KIND } from './routing/scraped-peer.ts';

export type GatewayOptions = Static<typeof gatewayOptions>;

/** A gateway that listens. */
export interface Gateway extends Stoppable {
  /** Base URL, such as `http://0.0.0.0:8000`. */
  readonly url: string;
}

/** Starts the gateway; it listens at once and answers 503 until a backbone is ready. */
export async function startGateway(
  options: GatewayOptions,
  log: Log,
  clock: Clock = systemClock,
): Promise<Gateway> {
  const { host, port } = options;
  const metrics = new GatewayMetrics(new MetricRegistry());
  new LogMetrics(metrics.registry).watch(log);
  const context = createContext(options, { metrics, log, clock });
  const memory = new BodyMemory(bytesOfMb(options.bodyBufferMb));
  metrics.watchBodies(memory);
  const app = createServer({
    routes: allRoutes(context),
    apiKeys: new ApiKeys(options.apiKey),
    metrics: metrics.http,
    log,
    bodies: bodyLimits(options, memory),
    corsAllowOrigin: options.corsAllowOrigin,
  });
  try {
    const address = `${host}:${port}`;
    await listenWhenFree(() => app.listen({ host, port }), { address, log, clock });
  } catch (cause: unknown) {
    await closePeers(context);
    throw cannotListen(options, cause);
  }
  return {
    url: urlOf(host, app.server.address()),
    drain: (graceMs) => {
      const server = { close: (lastWritesMs: number) => closeServer(app, lastWritesMs) };
      const close = () => closePeers(context);
      return drainInOrder({ work: context.inFlight, server, close }, graceMs);
    },
  };
}

function bodyLimits(options: GatewayOptions, memory: BodyMemory): BodyLimits {
  return {
    receive: { maxBytes: bytesOfMb(options.maxBodyMb), memory },
    json: { maxValues: options.maxJsonValues, maxDepth: options.maxJsonDepth },
    form: { maxParts: options.maxFormParts, files: () => new ByteBudget(mediaLimits(options)) },
  };
}

async function closeServer(app: FastifyInstance, graceMs: number): Promise<void> {
  // A connection that never sent a request does not count as idle and would delay the end.
  const cutOff = setTimeout(() => app.server.closeAllConnections(), graceMs);
  await app.close();
  clearTimeout(cutOff);
}

/** Opens the peers of one kind at the addresses of the configuration. */
function openPeers<Calls, Model>(
  kind: PeerKind<Calls, Model>,
  addresses: readonly string[],
  shared: { readonly log: Log; readonly clock: Clock },
): PeerSet<Peer<Calls, Model>> {
  return new PeerSet({
    membership: staticMembership(addresses),
    open: (address) => new Peer(kind, address, shared),
    log: shared.log,
  });
}

async function closePeers({ router, scraped }: RouteContext): Promise<void> {
  await Promise.all([router.close(), scraped.close()]);
}

interface Surroundings {
  readonly metrics: GatewayMetrics;
  readonly log: Log;
  readonly clock: Clock;
}

function createContext(options: GatewayOptions, shared: Surroundings): RouteContext {
  const { metrics, log } = shared;
  const { registry, generations } = metrics;
  const maxRequests = options.maxConcurrentRequests;
  const inFlight = new InFlight({ maxRequests, timeoutMs: options.requestTimeoutS * 1000 });
  metrics.watch(inFlight, maxRequests);
  const intake = new MediaIntake(options, log);
  const backbones = openPeers(BACKBONE_KIND, options.backbone, shared);
  metrics.watchBackbones(() => backbones.peers);
  const router = new Router(backbones, {
    maxAttempts: options.maxAttempts,
    onRetry: (reason) => generations.retries.add(1, { reason }),
  });
  const scraped = openPeers(SCRAPED_KIND, options.scrape, shared);
  const stream = {
    heartbeatMs: options.heartbeatIntervalS * 1000,
    stallMs: options.stallTimeoutS * 1000,
  };
  const { maxAnswerLogprobs } = options;
  return {
    router,
    scraped,
    inFlight,
    intake,
    registry,
    metrics: generations,
    stream,
    maxAnswerLogprobs,
    log,
  };
}

function allRoutes(context: RouteContext): Route[] {
  return [
    chatCompletionsRoute(context),
    completionsRoute(context),
    transcriptionsRoute(context),
    modelsRoute(context),
    modelRoute(context),
    tokenizeRoute(context),
    detokenizeRoute(context),
    ...healthRoutes(context),
    versionRoute(),
    loadRoute(context),
    metricsRoute(context),
  ];
}

function urlOf(host: string, address: AddressInfo | string | null): string {
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function cannotListen({ host, port }: GatewayOptions, cause: unknown): MeshError {
  if (isInUse(cause)) {
    const message = `port ${port} is in use; choose another with the key "port" (--port)`;
    return new MeshError('INVALID_REQUEST', message, { param: 'port', cause });
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `cannot listen on ${host}:${port}: ${why}; see the keys "host" and "port"`;
  return new MeshError('INVALID_REQUEST', message, { param: 'host', cause });
}
