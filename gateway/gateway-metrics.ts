import { Gauge, MetricRegistry } from '#mesh/metrics.ts';
import type { BodyMemory } from './http/body/body-memory.ts';
import { HttpMetrics } from './http/http-metrics.ts';
import type { InFlight } from './http/in-flight.ts';
import { GenerationMetrics } from './routes/generation-metrics.ts';

/** What the gateway counts of itself. */
export class GatewayMetrics {
  readonly registry = new MetricRegistry();
  readonly http = new HttpMetrics(this.registry);
  readonly generations = new GenerationMetrics(this.registry);

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
