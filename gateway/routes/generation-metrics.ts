import { Counter, Histogram, type MetricRegistry, TTFT_BUCKETS_S } from '#mesh/metrics.ts';

/** What is counted of generations. */
export class GenerationMetrics {
  readonly timeToFirstToken: Histogram;
  readonly retries: Counter;
  readonly cancellations: Counter;

  constructor(registry: MetricRegistry) {
    this.timeToFirstToken = registry.register(
      new Histogram(
        'gateway_time_to_first_token_seconds',
        'Time from request to the first token at the gateway, seconds.',
        TTFT_BUCKETS_S,
      ),
    );
    this.retries = registry.register(
      new Counter('gateway_retries', 'Requests sent to another endpoint, by the reason.'),
    );
    this.cancellations = registry.register(
      new Counter('gateway_cancelled_requests', 'Requests whose client left or was cut off.'),
    );
  }
}
