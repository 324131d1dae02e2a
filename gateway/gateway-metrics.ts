import type { BodyMemory } from '#gateway/http/body/body-memory.ts';
import type { InFlight } from '#gateway/http/in-flight.ts';
import {
  Counter,
  Gauge,
  Histogram,
  MetricRegistry,
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
  readonly registry = new MetricRegistry();
  readonly httpRequests = this.registry.register(
    new Counter('http_requests', 'HTTP requests answered.'),
  );
  readonly httpDuration = this.registry.register(
    new Histogram(
      'http_request_duration_seconds',
      'Time from request to the end of its answer, seconds.',
      REQUEST_BUCKETS_S,
    ),
  );
  readonly timeToFirstToken = this.registry.register(
    new Histogram(
      'gateway_time_to_first_token_seconds',
      'Time from request to the first token at the gateway, seconds.',
      TTFT_BUCKETS_S,
    ),
  );
  readonly retries = this.registry.register(
    new Counter('gateway_retries', 'Requests sent to another endpoint, by the reason.'),
  );
  readonly cancellations = this.registry.register(
    new Counter('gateway_cancelled_requests', 'Requests whose client left or was cut off.'),
  );

  watch(inFlight: InFlight, maxRequests: number): void {
    const name = 'gateway_requests_in_flight';
    this.registry.register(
      new Gauge(name, 'Requests being answered at this moment.', () => inFlight.count),
    );
    this.registry.register(
      new Gauge(
        `${name}_limit`,
        'Requests in flight beyond which 429 is answered.',
        () => maxRequests,
      ),
    );
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

  watchBodies(memory: BodyMemory): void {
    const name = 'gateway_body_bytes';
    this.registry.register(
      new Gauge(name, 'Bytes of the bodies of all requests at this moment.', () => memory.numBytes),
    );
    this.registry.register(
      new Gauge(
        `${name}_limit`,
        'Bytes of bodies beyond which 429 is answered.',
        () => memory.maxBytes,
      ),
    );
  }
}
