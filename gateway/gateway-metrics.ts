import type { BodyMemory } from '#gateway/http/body/body-memory.ts';
import type { InFlight } from '#gateway/http/in-flight.ts';
import {
  type Counter,
  type Histogram,
  type MetricRegistry,
  REQUEST_BUCKETS_S,
  TTFT_BUCKETS_S,
} from '#mesh/metrics.ts';
import { PeerReadiness, type PeerReadinessOptions } from '#mesh/peers/peer-readiness.ts';

/** vLLM serves these two without a prefix. */
export const HTTP_METRICS: ReadonlySet<string> = new Set([
  'http_requests',
  'http_request_duration_seconds',
]);

/** What the gateway counts of itself. */
export class GatewayMetrics {
  readonly registry: MetricRegistry;
  readonly httpRequests: Counter;
  readonly httpDuration: Histogram;
  readonly timeToFirstToken: Histogram;
  readonly retries: Counter;
  readonly cancellations: Counter;

  constructor(registry: MetricRegistry) {
    this.registry = registry;
    this.httpRequests = registry.counter('http_requests', 'HTTP requests answered.');
    this.httpDuration = registry.histogram(
      'http_request_duration_seconds',
      'Time from request to the end of its answer, seconds.',
      REQUEST_BUCKETS_S,
    );
    this.timeToFirstToken = registry.histogram(
      'gateway_time_to_first_token_seconds',
      'Time from request to the first token at the gateway, seconds.',
      TTFT_BUCKETS_S,
    );
    this.retries = registry.counter(
      'gateway_retries',
      'Requests sent to another endpoint, by the reason.',
    );
    this.cancellations = registry.counter(
      'gateway_cancelled_requests',
      'Requests whose client left or was cut off.',
    );
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

  watchBackbones(peers: PeerReadinessOptions['peers']): void {
    this.registry.register(
      new PeerReadiness({
        name: 'gateway_backbone_ready',
        help: 'Whether the backbone is ready, 1 or 0.',
        label: 'instance',
        peers,
      }),
    );
  }

  /** Adds the gauges of the bodies in memory. */
  watchBodies(memory: BodyMemory): void {
    const name = 'gateway_body_bytes';
    const help = 'Bytes of the bodies of all requests at this moment.';
    const limitHelp = 'Bytes of bodies beyond which 429 is answered.';
    this.registry.show([
      { name, help, read: () => memory.numBytes },
      { name: `${name}_limit`, help: limitHelp, read: () => memory.maxBytes },
    ]);
  }
}
