import type { MetricRegistry } from '#mesh/metrics.ts';
import { PeerFlag } from '#mesh/peers/peer-flag.ts';
import type { ReplyCache } from './degradation/reply-cache.ts';
import type { BodyMemory } from './http/body/body-memory.ts';
import type { Connections } from './http/connections.ts';
import { HttpMetrics } from './http/http-metrics.ts';
import type { InFlight } from './http/in-flight.ts';
import type { KeptAnswers } from './idempotency/kept-answers.ts';
import type { RequestHistory } from './requests/request-history.ts';
import { GenerationMetrics } from './routes/generation-metrics.ts';
import type { Balancing } from './routing/balancing.ts';

/** A backbone as its gauges see it. */
interface WatchedBackbone {
  readonly address: string;
  readonly isReady: boolean;
}

/** The gateway's own metrics. */
export class GatewayMetrics {
  readonly registry: MetricRegistry;
  readonly http: HttpMetrics;
  readonly generations: GenerationMetrics;

  constructor(registry: MetricRegistry) {
    this.registry = registry;
    this.http = new HttpMetrics(registry);
    this.generations = new GenerationMetrics(registry);
  }

  /** Adds the gauges of the requests that are being answered. */
  watch(inFlight: InFlight, maxRequests: number): void {
    const name = 'gateway_requests_in_flight';
    const help = 'Requests being answered at this moment.';
    const limitHelp = 'Requests in flight beyond which 429 is answered.';
    this.registry.show([
      { name, help, read: () => inFlight.count },
      { name: `${name}_limit`, help: limitHelp, read: () => maxRequests },
    ]);
  }

  /** Adds the gauges of the backbones: whether each is ready, and left out because it fails. */
  watchBackbones<P extends WatchedBackbone>(
    peers: () => readonly P[],
    balancing: Pick<Balancing, 'isOut'>,
  ): void {
    const shared = { label: 'address', peers };
    this.registry.register(
      new PeerFlag({
        ...shared,
        name: 'gateway_backbone_ready',
        help: 'Whether the backbone is ready, 1 or 0.',
        isSet: ({ isReady }) => isReady,
      }),
    );
    this.registry.register(
      new PeerFlag({
        ...shared,
        name: 'gateway_backbone_ejected',
        help: 'Whether the backbone is left out because it fails repeatedly, 1 or 0.',
        isSet: ({ address }) => balancing.isOut(address),
      }),
    );
  }

  /** Adds the gauges of the connections of clients. */
  watchConnections(connections: Pick<Connections, 'numOpen' | 'max'>): void {
    const name = 'gateway_connections';
    const help = 'Connections of clients at this moment.';
    const limitHelp = 'Connections beyond which only probes are answered.';
    this.registry.show([
      { name, help, read: () => connections.numOpen },
      { name: `${name}_limit`, help: limitHelp, read: () => connections.max },
    ]);
  }

  /** Adds the gauges of the answers that are kept for their keys. */
  watchKept(kept: Pick<KeptAnswers, 'count' | 'numBytes' | 'maxBytes'>): void {
    const name = 'gateway_kept_answer_bytes';
    const help = 'Bytes of the answers kept for their Idempotency-Key at this moment.';
    const limitHelp = 'Bytes beyond which the oldest kept answers are forgotten.';
    const countHelp = 'Answers that run or are kept for their Idempotency-Key.';
    this.registry.show([
      { name, help, read: () => kept.numBytes },
      { name: `${name}_limit`, help: limitHelp, read: () => kept.maxBytes },
      { name: 'gateway_kept_answers', help: countHelp, read: () => kept.count },
    ]);
  }

  /** Adds the gauge of the answers that are kept for when nobody can answer, if they are. */
  watchReplies(cache: Pick<ReplyCache, 'bytes'> | undefined): void {
    if (cache === undefined) return;
    const name = 'gateway_reply_cache_bytes';
    const help = 'Bytes of the answers kept for when no replica can answer.';
    this.registry.show([{ name, help, read: () => cache.bytes }]);
  }

  /** Adds the gauges of the requests that are remembered. */
  watchHistory(history: Pick<RequestHistory, 'numEnded' | 'numBytes'>): void {
    const name = 'gateway_remembered_requests';
    const help = 'Requests that have ended and are remembered.';
    const bytesHelp = 'Bytes that they take, about.';
    this.registry.show([
      { name, help, read: () => history.numEnded },
      { name: 'gateway_remembered_request_bytes', help: bytesHelp, read: () => history.numBytes },
    ]);
  }

  /** Adds the gauges of the bodies held in memory. */
  watchBodies(memory: BodyMemory): void {
    const name = 'gateway_body_bytes';
    const help = 'Bytes of the bodies of all requests at this moment.';
    const limitHelp = 'Bytes of bodies beyond which 429 is answered.';
    this.registry.show([
      { name, help, read: () => memory.numBytes },
      { name: `${name}_limit`, help: limitHelp, read: () => memory.maxBytes },
      {
        name: 'gateway_unfinished_body_bytes',
        help: 'Bytes reserved for bodies that have not arrived completely.',
        read: () => memory.numUnfinishedBytes,
      },
    ]);
  }
}
