import {
  type Counter,
  type Histogram,
  type MetricRegistry,
  TTFT_BUCKETS_S,
} from '#mesh/metrics.ts';

/** Metrics of generations. */
export class GenerationMetrics {
  readonly timeToFirstToken: Histogram;
  readonly retries: Counter;
  readonly cancellations: Counter;

  constructor(registry: MetricRegistry) {
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
}
