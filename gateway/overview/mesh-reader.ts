import type { Clock } from '#mesh/async/clock.ts';
import type { MetricRegistry } from '#mesh/metrics.ts';
import type {
  GatewayOverview,
  InstanceOverview,
  InstanceOverviewRole,
  MeshOverview,
} from '#mesh/overview/mesh-overview.ts';
import { INSTANCE_NAME, VERSION } from '#mesh/process/instance.ts';
import type { GetStatusResponse, WatchResponse } from '#protos/autoglm/mesh/v1/instance.ts';
import { instanceOverview, type ViewedPeer } from './instance-overview.ts';
import { metricTotal, type WantedSamples } from './metric-total.ts';

/** Most instances that an overview holds. */
const MAX_INSTANCES = 256;
/** Milliseconds for which an overview is given again, so that many readers cost as much as one. */
const FRESH_MS = 500;
/** Milliseconds after which a process that has not answered is described by what is known. */
const ASK_TIMEOUT_MS = 1000;

export interface MeshReaderOptions {
  readonly backbones: () => readonly ViewedPeer[];
  readonly encoders: () => readonly ViewedPeer[];
  /** Metrics of this process. */
  readonly registry: MetricRegistry;
  readonly state: () => GatewayOverview['state'];
  readonly numRequests: () => number;
  readonly maxRequests: number;
  readonly clock: Clock;
}

/** What is kept of a process while it is away. */
interface LastKnown {
  facts: WatchResponse | undefined;
  status: GetStatusResponse | undefined;
  /** The run of the process that `status` describes, and when it was asked. */
  life: number;
  askedMs: number;
}

/** Describes every process that the gateway knows. */
export class MeshReader {
  readonly #options: MeshReaderOptions;
  readonly #lastKnown = new WeakMap<ViewedPeer, LastKnown>();
  #reading: { readonly overview: Promise<MeshOverview>; readonly startMs: number } | undefined;

  constructor(options: MeshReaderOptions) {
    this.#options = options;
  }

  /** Returns an overview that is at most half a second old. */
  read(): Promise<MeshOverview> {
    const now = this.#options.clock.now();
    if (this.#reading === undefined || now - this.#reading.startMs >= FRESH_MS) {
      this.#reading = { overview: this.#readAll(), startMs: now };
    }
    return this.#reading.overview;
  }

  async #readAll(): Promise<MeshOverview> {
    const { backbones, encoders } = this.#options;
    const peers: [ViewedPeer, InstanceOverviewRole][] = [
      ...backbones().map((peer): [ViewedPeer, InstanceOverviewRole] => [peer, 'llm-backbone']),
      ...encoders().map((peer): [ViewedPeer, InstanceOverviewRole] => [peer, 'encoder']),
    ];
    const shown = peers.slice(0, MAX_INSTANCES);
    const signal = AbortSignal.timeout(ASK_TIMEOUT_MS);
    const instances = await Promise.all(
      shown.map(([peer, role]) => this.#readInstance(peer, role, signal)),
    );
    return {
      object: 'mesh',
      read_ms: Date.now(),
      gateway: this.#readGateway(),
      instances,
      num_omitted: peers.length - shown.length,
    };
  }

  async #readInstance(
    peer: ViewedPeer,
    role: InstanceOverviewRole,
    signal: AbortSignal,
  ): Promise<InstanceOverview> {
    const known = this.#knownOf(peer);
    if (peer.facts !== undefined) known.facts = peer.facts;
    const [status, metrics] = await Promise.allSettled([
      this.#askStatus(peer, known, signal),
      peer.isReady ? peer.instance.getMetrics({}, { signal }) : undefined,
    ]);
    if (status.status === 'fulfilled') known.status = status.value;
    const families = metrics.status === 'fulfilled' ? metrics.value?.families : undefined;
    return instanceOverview(peer, { ...known, status: this.#aged(known), families }, role);
  }

  /** Asks once in each run of a process, for what it answers stays as it is. */
  async #askStatus(
    peer: ViewedPeer,
    known: LastKnown,
    signal: AbortSignal,
  ): Promise<GetStatusResponse | undefined> {
    const isKnown = known.status !== undefined && known.life === peer.life;
    if (peer.facts === undefined || isKnown) return known.status;
    const { life } = peer;
    const status = await peer.instance.getStatus({}, { signal });
    known.life = life;
    known.askedMs = this.#options.clock.now();
    return status;
  }

  /** Returns the status with the age that the process has now. */
  #aged({ status, askedMs }: LastKnown): GetStatusResponse | undefined {
    if (status === undefined) return undefined;
    const sinceMs = Math.round(this.#options.clock.now() - askedMs);
    return { ...status, uptimeMs: status.uptimeMs + BigInt(sinceMs) };
  }

  #knownOf(peer: ViewedPeer): LastKnown {
    const known = this.#lastKnown.get(peer);
    if (known !== undefined) return known;
    const fresh = { facts: undefined, status: undefined, life: -1, askedMs: 0 };
    this.#lastKnown.set(peer, fresh);
    return fresh;
  }

  #readGateway(): GatewayOverview {
    const { registry, state, numRequests, maxRequests } = this.#options;
    const families = registry.collect();
    const total = (wanted: WantedSamples) => metricTotal(families, wanted);
    const requests = { name: 'http_requests', suffix: '_total' };
    const ttft = 'gateway_time_to_first_token_seconds';
    return {
      instance_name: INSTANCE_NAME,
      version: VERSION,
      pid: process.pid,
      uptime_ms: Math.round(process.uptime() * 1000),
      state: state(),
      num_requests: numRequests(),
      max_requests: maxRequests,
      requests_total: total({ ...requests, labels: { method: 'POST' } }),
      failures_total: total({ ...requests, labels: { method: 'POST', status: '5xx' } }),
      ttft_count: total({ name: ttft, suffix: '_count' }),
      ttft_sum_s: total({ name: ttft, suffix: '_sum' }),
      retries_total: total({ name: 'gateway_retries', suffix: '_total' }),
      resumes_total: total({ name: 'gateway_resumes', suffix: '_total' }),
    };
  }
}
