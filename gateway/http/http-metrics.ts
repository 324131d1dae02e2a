import {
  type Counter,
  type Histogram,
  type MetricRegistry,
  REQUEST_BUCKETS_S,
} from '#mesh/metrics.ts';
import type { Route } from './route.ts';

/** A request whose answer has ended. */
export interface AnsweredRequest {
  /** Path of its route; `UNKNOWN` without one. */
  readonly handler: string;
  readonly method: string;
  /** HTTP status. */
  readonly status: number;
  readonly elapsedMs: number;
}

/** Label of what a request without a route, or bytes without a method, asked for. */
export const UNKNOWN = 'unknown';

/** Metrics of every HTTP request. */
export class HttpMetrics {
  readonly #requests: Counter;
  readonly #duration: Histogram;

  constructor(registry: MetricRegistry) {
    this.#requests = registry.counter('http_requests', 'HTTP requests answered.');
    this.#duration = registry.histogram(
      'http_request_duration_seconds',
      'Time from request to the end of its answer, seconds.',
      REQUEST_BUCKETS_S,
    );
  }

  /** Shows a route at 0, so that its first failure is seen as a rise. */
  expect({ method, path: handler }: Pick<Route, 'method' | 'path'>): void {
    for (const status of ['2xx', '4xx', '5xx']) this.#requests.add(0, { handler, method, status });
  }

  /** Counts bytes that are not HTTP. */
  malformed(status: number): void {
    this.#requests.add(1, { handler: UNKNOWN, method: UNKNOWN, status: classOf(status) });
  }

  /** Counts a request whose answer has ended. */
  answered({ handler, method, status, elapsedMs }: AnsweredRequest): void {
    this.#requests.add(1, { handler, method, status: classOf(status) });
    this.#duration.observe(elapsedMs / 1000, { handler, method });
  }
}

function classOf(status: number): string {
  return `${Math.floor(status / 100)}xx`;
}
