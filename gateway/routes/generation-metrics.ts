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
  readonly resumes: Counter;
  readonly brokenStreams: Counter;
  readonly cancellations: Counter;
  readonly keyedRequests: Counter;
  readonly degradedReplies: Counter;

  constructor(registry: MetricRegistry) {
    this.timeToFirstToken = registry.histogram(
      'gateway_time_to_first_token_seconds',
      'Time from request to the first token at the gateway, seconds.',
      TTFT_BUCKETS_S,
    );
    this.retries = registry.counter(
      'gateway_retries',
      'Requests sent to another endpoint before their first token, by the reason.',
    );
    this.resumes = registry.counter(
      'gateway_resumes',
      'Begun answers that another endpoint went on with, by whether it gives the same bits.',
    );
    for (const exact of ['true', 'false']) this.resumes.add(0, { exact });
    this.brokenStreams = registry.counter(
      'gateway_broken_streams',
      'Streams that ended with an error of ours after their head, which said 200.',
    );
    this.brokenStreams.add(0);
    this.cancellations = registry.counter(
      'gateway_cancelled_requests',
      'Requests whose client left or was cut off.',
    );
    this.keyedRequests = registry.counter(
      'gateway_keyed_requests',
      'Requests with an Idempotency-Key, by what became of them.',
    );
    this.degradedReplies = registry.counter(
      'gateway_degraded_replies',
      'Answers given instead of those of a model that could not, by their kind.',
    );
  }
}
