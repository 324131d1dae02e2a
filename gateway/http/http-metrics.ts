import {
  type Counter,
  type Histogram,
  type MetricRegistry,
  REQUEST_BUCKETS_S,
} from '#mesh/metrics.ts';

/** Metrics of every HTTP request. */
export class HttpMetrics {
  readonly requests: Counter;
  readonly duration: Histogram;

  constructor(registry: MetricRegistry) {
    this.requests = registry.counter('http_requests', 'HTTP requests answered.');
    this.duration = registry.histogram(
      'http_request_duration_seconds',
      'Time from request to the end of its answer, seconds.',
      REQUEST_BUCKETS_S,
    );
  }
}
