import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { backgroundClock, type Clock, systemClock } from '#mesh/async/clock.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { ERRORS, MeshError } from '#mesh/errors.ts';
import { Pipelining } from '#mesh/http/pipelining.ts';
import { listenWhenFree } from '#mesh/listen-when-free.ts';
import type { Log } from '#mesh/log/log.ts';
import type { MetricRegistry } from '#mesh/metrics.ts';
import { NO_METRICS_PAGE } from '#mesh/metrics-options.ts';
import { parseHostPort } from '#mesh/port-probe.ts';
import { AllowedHosts, namedHosts } from './allowed-hosts.ts';
import { METRICS_TYPE, metricsPage } from './metrics-page.ts';
import { tellSupervisor } from './supervision.ts';

/** Most connections at once; a few scrapers keep one each. */
const MAX_CONNECTIONS = 64;
/** Milliseconds in which a request must have come. */
const REQUEST_LIMIT_MS = 10_000;
/** Milliseconds in which a client must have taken the page; a scraper waits no longer either. */
const ANSWER_LIMIT_MS = 10_000;

export interface MetricsServerOptions {
  /** Address `host:port`, port 0 picks a free one; or that there is no page. */
  readonly metricsListen: string;
  readonly registry: MetricRegistry;
  /** Whether the process is an engine, whose metrics dashboards for vLLM know. */
  readonly isEngine: boolean;
  readonly log: Log;
  readonly clock?: Clock;
}

/** Serves `GET /metrics` of this process alone, on a port of its own; nobody else is asked for it. */
export class MetricsServer {
  readonly #server: Server;
  /** Address it listens on, `host:port`. */
  readonly address: string;

  private constructor(server: Server, address: string) {
    this.#server = server;
    this.address = address;
  }

  /**
   * Starts to listen, and tells the supervisor where; undefined if no page is wanted. Throws
   * INVALID_REQUEST if it cannot listen there.
   */
  static async open(options: MetricsServerOptions): Promise<MetricsServer | undefined> {
    const { metricsListen, log, clock = systemClock } = options;
    if (metricsListen === NO_METRICS_PAGE) return undefined;
    const { host } = parseHostPort(metricsListen);
    // A browser may be led to what only this machine reaches; a name of it is anything elsewhere.
    const hosts = new AllowedHosts(isLoopback(host) ? [] : ['*']);
    const pipelining = new Pipelining(1);
    const server = createServer(SERVER_SETTINGS, (request, response) => {
      const standing = pipelining.enter(request, response);
      if (standing === 'refused') refuse(response, 429);
      if (standing !== 'answered') return;
      limitTime(response, options);
      answer(request, response, hosts, options);
    });
    server.maxConnections = MAX_CONNECTIONS;
    // The page alone keeps no process alive.
    server.unref();
    try {
      const wait = { address: metricsListen, log, clock };
      await listenWhenFree(() => listening(server, metricsListen), wait);
    } catch (cause: unknown) {
      const why = errorMessage(cause);
      const message = `cannot listen on ${metricsListen}: ${why}; see the key "metrics-listen"`;
      throw new MeshError('INVALID_REQUEST', message, { param: 'metricsListen', cause });
    }
    const bound = server.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
    const address = `${metricsListen.slice(0, metricsListen.lastIndexOf(':'))}:${port}`;
    tellSupervisor({ kind: 'shows metrics', address });
    log.info(`metrics of this process: http://${address}/metrics`);
    return new MetricsServer(server, address);
  }

  /** Ends the listener and its connections. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

const SERVER_SETTINGS = {
  requestTimeout: REQUEST_LIMIT_MS,
  // Hosts are looked at with the rest of a request.
  requireHostHeader: false,
} as const;

/** Cuts off whoever does not take its answer, for there are few connections. */
function limitTime(
  response: ServerResponse,
  { clock = backgroundClock }: Pick<MetricsServerOptions, 'clock'>,
): void {
  const { socket } = response;
  response.once(
    'close',
    clock.after(ANSWER_LIMIT_MS, () => socket?.destroy()),
  );
}

function listening(server: Server, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(parseHostPort(address), () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  hosts: AllowedHosts,
  { registry, isEngine }: MetricsServerOptions,
): void {
  const refusal = refusalOf(request, hosts);
  if (refusal !== undefined) {
    refuse(response, refusal);
    return;
  }
  const page = metricsPage([{ labels: {}, families: registry.collect(), isEngine }]);
  response.writeHead(200, { 'content-type': METRICS_TYPE }).end(page);
}

function refuse(response: ServerResponse, status: number): void {
  const headers = { 'content-type': 'text/plain', allow: 'GET, HEAD' };
  response.writeHead(status, headers).end('see GET /metrics at an address of this machine\n');
}

/** Returns the status of a request that is not answered with the page. */
function refusalOf(request: IncomingMessage, hosts: AllowedHosts): number | undefined {
  const { url = '', method = '' } = request;
  try {
    for (const host of namedHosts(url, request)) hosts.check(host);
  } catch (error: unknown) {
    if (error instanceof MeshError) return ERRORS[error.reason].http;
    throw error;
  }
  if (!/^\/metrics(\?|$)/.test(url)) return 404;
  return method === 'GET' || method === 'HEAD' ? undefined : 405;
}
