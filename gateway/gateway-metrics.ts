import type { MetricRegistry } from '#mesh/metrics.ts';
import { PeerReadiness, type PeerReadinessOptions } from '#mesh/peers/peer-readiness.ts';
import type { BodyMemory } from './http/body/body-memory.ts';
import { HttpMetrics } from './http/http-metrics.ts';
import type { InFlight } from './http/in-flight.ts';
import { GenerationMetrics } from './routes/generation-metrics.ts';

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

  /** Adds the gauges of the bodies held in memory. */
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
