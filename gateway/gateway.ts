import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Static } from 'typebox';
import { ApiKeys } from '#gateway/http/auth.ts';
import { BodyMemory } from '#gateway/http/body/body-memory.ts';
import { MemoryReturn } from '#gateway/http/body/memory-return.ts';
import { ClientAddresses } from '#gateway/http/client-address.ts';
import { ClientIdentity } from '#gateway/http/client-identity.ts';
import { Connections } from '#gateway/http/connections.ts';
import {
  countDescriptors,
  servableConnections,
  watchDescriptors,
} from '#gateway/http/descriptors.ts';
import { InFlight } from '#gateway/http/in-flight.ts';
import type { Route } from '#gateway/http/route.ts';
import { type BodyLimits, createServer } from '#gateway/http/server.ts';
import { backgroundClock, type Clock, systemClock } from '#mesh/async/clock.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import { isInUse, listenWhenFree } from '#mesh/listen-when-free.ts';
import type { Log } from '#mesh/log/log.ts';
import { LogMetrics } from '#mesh/log/log-metrics.ts';
import { bytesOfMb } from '#mesh/megabytes.ts';
import { announceGateway } from '#mesh/membership/announcement.ts';
import { standForController } from '#mesh/membership/controller.ts';
import { endsByLease, openMembership } from '#mesh/membership/open-membership.ts';
import { unitedMembership } from '#mesh/membership/united-membership.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { ENCODER_ROLES } from '#mesh/modality.ts';
import { openMetricsExport } from '#mesh/otlp/open-metrics-export.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import type { Membership } from '#mesh/peers/membership.ts';
import { Patience } from '#mesh/peers/patience.ts';
import { Peer, type PeerKind, type PeerOptions } from '#mesh/peers/peer.ts';
import { PeerSet, type PeerSetOptions } from '#mesh/peers/peer-set.ts';
import type { Stoppable } from '#mesh/process/lifecycle.ts';
import { MetricsServer } from '#mesh/process/metrics-server.ts';
import { watchProcess } from '#mesh/process/process-metrics.ts';
import { openTracing } from '#mesh/trace/open-tracing.ts';
import { createSampler } from '#mesh/trace/sampler.ts';
import { createDegradation, type Degradation } from './degradation/degradation.ts';
import { GatewayEnding } from './gateway-ending.ts';
import { GatewayMetrics } from './gateway-metrics.ts';
import { keepLimits } from './idempotency/idempotency-options.ts';
import { KeptAnswers } from './idempotency/kept-answers.ts';
import { ByteBudget } from './media/byte-budget.ts';
import { MediaIntake } from './media/media-intake.ts';
import { mediaLimits } from './media/media-options.ts';
import type { gatewayOptions } from './options.ts';
import { MeshReader } from './overview/mesh-reader.ts';
import { RequestHistory } from './requests/request-history.ts';
import { RequestObserver } from './requests/request-observer.ts';
import { countTokensRoute } from './routes/anthropic/count-tokens.ts';
import { messagesRoute } from './routes/anthropic/messages.ts';
import { chatCompletionsRoute } from './routes/chat-completions.ts';
import { completionsRoute } from './routes/completions.ts';
import { embeddingsRoute } from './routes/embeddings.ts';
import { healthRoutes, healthState } from './routes/health.ts';
import { loadRoute } from './routes/load.ts';
import { metricsRoute } from './routes/metrics.ts';
import { modelRoute, modelsRoute } from './routes/models.ts';
import { requestsRoute } from './routes/requests.ts';
import { responsesRoute } from './routes/responses/responses.ts';
import type { RouteContext } from './routes/route-context.ts';
import { detokenizeRoute, tokenizeRoute } from './routes/tokenize.ts';
import { transcriptionsRoute } from './routes/transcriptions.ts';
import { versionRoute } from './routes/version.ts';
import { consoleRoutes } from './routes/views/console.ts';
import { type ConsoleFiles, readConsoleFiles } from './routes/views/console-files.ts';
import { homeRoute } from './routes/views/home.ts';
import { meshRoute } from './routes/views/mesh.ts';
import { BACKBONE_KIND } from './routing/backbone-peer.ts';
import { LeastConnBalancing } from './routing/least-conn-balancing.ts';
import { LeastWorkBalancing } from './routing/least-work-balancing.ts';
import { Router } from './routing/router.ts';
import { SCRAPED_KIND } from './routing/scraped-peer.ts';

/** Address of the llm-backbone if nothing names one. */
const LOCAL_BACKBONE = '127.0.0.1:8051';

/** Connections that are set aside for the processes of a registry. */
const NUM_LISTED = 64;

export type GatewayOptions = Static<typeof gatewayOptions>;

/** A gateway that listens. */
export interface Gateway extends Stoppable {
  /** Base URL, such as `http://0.0.0.0:8000`. */
  readonly url: string;
  /** Address of its page of metrics, `host:port`; undefined if there is none. */
  readonly metricsAddress: string | undefined;
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
  watchProcess(metrics.registry, 'gateway');
  const apiKeys = new ApiKeys(options.apiKey);
  const addresses = new ClientAddresses(options.trustedProxies);
  const clients = new ClientIdentity(apiKeys, addresses);
  const memory = bodyMemory(options, { clock, clients });
  metrics.watchBodies(memory);
  const degradation = await createDegradation(options);
  metrics.watchReplies(degradation?.cache);
  const shared = { metrics, log, clock, clients, memory, degradation };
  const context = createContext(options, shared);
  const connections = connectionsOf(options, { addresses, log, clock });
  const history = new RequestHistory({
    maxEnded: options.requestHistory,
    maxBytes: bytesOfMb(options.requestHistoryMb),
  });
  metrics.watchHistory(history);
  const sampler = createSampler(options, process.env);
  const { registry } = metrics;
  const tracing = await openTracing(options, { role: 'gateway', registry, log });
  const metricsExport = await openMetricsExport(options, { role: 'gateway', registry, log });
  const slowMs = options.traceSlowS * 1000;
  const http = createServer({
    routes: allRoutes(context, { history, apiKeys, files: consoleFiles(options, log) }),
    apiKeys,
    metrics: metrics.http,
    observer: new RequestObserver({ history, tracing, sampler, slowMs }),
    log,
    bodies: bodyLimits(options, memory, clock),
    connections,
    inFlight: context.inFlight,
    corsAllowOrigin: options.corsAllowOrigin,
    allowedHosts: [...options.allowedHosts, host],
    stallMs: context.stream.stallMs,
  });
  metrics.watchConnections(connections);
  let page: MetricsServer | undefined;
  const closeParts = async () => {
    const exports = [tracing?.close(), metricsExport?.close()];
    await Promise.all([closePeers(context), page?.close(), ...exports]);
  };
  try {
    page = await MetricsServer.open({ ...options, registry, isEngine: false, log, clock });
    const address = `${host}:${port}`;
    await listenWhenFree(() => http.app.listen({ host, port }), { address, log, clock });
  } catch (cause: unknown) {
    await closeParts();
    throw cause instanceof MeshError ? cause : cannotListen(options, cause);
  }
  const closeIdle = () => {
    for (const listener of http.listeners) listener.closeIdleConnections();
  };
  const endWatch = watchDescriptors(log, backgroundClock, closeIdle);
  const close = async () => {
    endWatch();
    context.kept.close();
    await closeParts();
  };
  const { inFlight } = context;
  const ending = new GatewayEnding({ http, inFlight, close }, options.drainDelayS * 1000);
  const address = addressOf(host, http.app.server.address());
  const announcement = announceGateway(address, options, { log, metrics: registry });
  const candidacy = standForController(options.registry, { log });
  return {
    url: `http://${address}`,
    metricsAddress: page?.address,
    drain: async (graceMs) => {
      await Promise.all([announcement.close(), candidacy.close(), ending.drain(graceMs)]);
    },
    hasten: () => ending.hasten(),
  };
}

function connectionsOf(
  options: GatewayOptions,
  surroundings: ConstructorParameters<typeof Connections>[1],
): Connections {
  const { mediaFetchConcurrency, backbone, scrape, registry } = options;
  const numListed = registry === undefined ? 0 : NUM_LISTED;
  const numOwnConnections = mediaFetchConcurrency + backbone.length + scrape.length + numListed;
  const { maxConnections, maxConnectionsPerAddress: maxPerAddress } = options;
  const need = { maxConnections, numOwnConnections };
  const max = servableConnections(need, countDescriptors(), surroundings.log);
  return new Connections({ maxConnections: max, maxPerAddress }, surroundings);
}

function bodyMemory(
  options: GatewayOptions,
  { clock, clients }: { readonly clock: Clock; readonly clients: ClientIdentity },
): BodyMemory {
  const memoryReturn = new MemoryReturn(backgroundClock);
  return new BodyMemory({
    maxBytes: bytesOfMb(options.bodyBufferMb),
    maxUnfinishedBytes: bytesOfMb(Math.max(options.unfinishedBodyMb, options.maxBodyMb)),
    clock,
    clientOf: (request) => clients.nameOf(request),
    onRelease: (numBytes) => memoryReturn.note(numBytes),
  });
}

function bodyLimits(options: GatewayOptions, memory: BodyMemory, clock: Clock): BodyLimits {
  const pace = { windowMs: options.bodyStallTimeoutS * 1000, clock };
  return {
    receive: { maxBytes: bytesOfMb(options.maxBodyMb), memory, pace },
    json: { maxValues: options.maxJsonValues, maxDepth: options.maxJsonDepth },
    form: { maxParts: options.maxFormParts, files: () => new ByteBudget(mediaLimits(options)) },
  };
}

function backbonesOf({ backbone, registry }: GatewayOptions, shared: Surroundings): Membership {
  const isAlone = registry === undefined && backbone.length === 0;
  const addresses = isAlone ? [LOCAL_BACKBONE] : backbone;
  return openMembership({ registry, addresses }, 'llm-backbone', shared);
}

function encodersOf({ scrape, registry }: GatewayOptions, shared: Surroundings): Membership {
  const roles = Object.values(ENCODER_ROLES);
  const sources = { registry, addresses: scrape };
  return unitedMembership(roles.map((role) => openMembership(sources, role, shared)));
}

/** Opens the peers of one kind. */
function openPeers<Calls, Model>(
  kind: PeerKind<Calls, Model>,
  listed: Pick<PeerSetOptions<unknown>, 'membership' | 'keepsReady'>,
  shared: Omit<PeerOptions, 'onChange'>,
): PeerSet<Peer<Calls, Model>> {
  return new PeerSet({
    ...listed,
    open: (member, onChange) => new Peer(kind, member, { ...shared, onChange }),
    log: shared.log,
  });
}

async function closePeers({ router, scraped }: RouteContext): Promise<void> {
  await Promise.all([router.close(), scraped.close()]);
}

interface Surroundings {
  readonly memory: BodyMemory;
  readonly clients: ClientIdentity;
  readonly metrics: GatewayMetrics;
  readonly degradation: Degradation | undefined;
  readonly log: Log;
  readonly clock: Clock;
}

/** The ways to choose an endpoint, by their names in the options. */
const BALANCINGS = {
  least_work: LeastWorkBalancing,
  least_conn: LeastConnBalancing,
} as const;

function createContext(options: GatewayOptions, shared: Surroundings): RouteContext {
  const { metrics, log, clients, memory } = shared;
  const { registry, generations } = metrics;
  const maxRequests = options.maxConcurrentRequests;
  const inFlight = new InFlight({ maxRequests, timeoutMs: options.requestTimeoutS * 1000 });
  metrics.watch(inFlight, maxRequests);
  const intake = new MediaIntake(options, log);
  const { progressTimeoutS } = options;
  const peers = { log, clock: shared.clock, progressTimeoutS };
  const keepsReady = endsByLease(options);
  const backbones = openPeers(
    BACKBONE_KIND,
    { membership: backbonesOf(options, shared), keepsReady },
    peers,
  );
  const Balancing = BALANCINGS[options.balancing];
  const balancing = new Balancing({
    maxFails: options.maxFails,
    failTimeoutMs: options.failTimeoutS * 1000,
    endpoints: () => backbones.peers,
    clock: shared.clock,
    log,
  });
  metrics.watchBackbones(() => backbones.peers, balancing);
  const router = new Router(backbones, {
    balancing,
    maxAttempts: options.maxAttempts,
    maxLosses: options.maxResumes,
    resumesAcrossNumerics: options.resumeAcrossNumerics,
    patience: new Patience({
      limitMs: options.recoveryWaitS * 1000,
      maxWaiting: options.maxHeldRequests,
    }),
    onRetry: (reason) => generations.retries.add(1, { reason }),
  });
  const kept = new KeptAnswers({
    ...keepLimits(options),
    clock: shared.clock,
    onOutcome: (outcome) => generations.keyedRequests.add(1, { outcome }),
  });
  metrics.watchKept(kept);
  const scraped = openPeers(
    SCRAPED_KIND,
    { membership: encodersOf(options, shared), keepsReady },
    peers,
  );
  const stream = {
    heartbeatMs: options.heartbeatIntervalS * 1000,
    stallMs: options.stallTimeoutS * 1000,
  };
  const mesh = new MeshReader({
    backbones: () => backbones.peers,
    encoders: () => scraped.peers,
    registry,
    state: () => healthState({ router, inFlight }),
    numRequests: () => inFlight.count,
    maxRequests,
    clock: shared.clock,
  });
  const { maxAnswerLogprobs } = options;
  return {
    router,
    scraped,
    inFlight,
    intake,
    clients,
    memory,
    kept,
    degradation: shared.degradation,
    registry,
    mesh,
    metrics: generations,
    stream,
    maxAnswerLogprobs,
    usualReasoning: options.reasoningParser === 'none' ? 'inline' : 'apart',
    log,
  };
}

/** Returns the files of the console; undefined if it is off or not built. */
function consoleFiles({ console: isOn }: GatewayOptions, log: Log): ConsoleFiles | undefined {
  if (!isOn) return undefined;
  const files = readConsoleFiles(join(PACKAGE_ROOT, 'build', 'console'));
  if (files === undefined) {
    log.warn('the console is not built, so / lists the routes; "npm run build" builds it');
  }
  return files;
}

interface RouteSources {
  readonly history: RequestHistory;
  readonly apiKeys: ApiKeys;
  readonly files: ConsoleFiles | undefined;
}

function allRoutes(
  context: RouteContext,
  { history, apiKeys: { areRequired: needsKey }, files }: RouteSources,
): Route[] {
  const routes = [
    chatCompletionsRoute(context),
    completionsRoute(context),
    embeddingsRoute(context),
    responsesRoute(context),
    messagesRoute(context),
    countTokensRoute(context),
    transcriptionsRoute(context),
    modelsRoute(context),
    modelRoute(context),
    tokenizeRoute(context),
    detokenizeRoute(context),
    ...healthRoutes(context),
    versionRoute(),
    meshRoute(context),
    loadRoute(context),
    metricsRoute(context),
    requestsRoute(history),
  ];
  if (files !== undefined) return [...consoleRoutes(files), ...routes];
  return [homeRoute(context, { routes, needsKey }), ...routes];
}

function addressOf(host: string, address: AddressInfo | string | null): string {
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function cannotListen({ host, port }: GatewayOptions, cause: unknown): MeshError {
  if (isInUse(cause)) {
    const message = `port ${port} is in use; choose another with the key "port" (--port)`;
    return new MeshError('INVALID_REQUEST', message, { param: 'port', cause });
  }
  const why = errorMessage(cause);
  const message = `cannot listen on ${host}:${port}: ${why}; see the keys "host" and "port"`;
  return new MeshError('INVALID_REQUEST', message, { param: 'host', cause });
}
