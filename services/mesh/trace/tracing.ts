import type { Log } from '#mesh/log/log.ts';
import type { MetricRegistry } from '#mesh/metrics.ts';
import type { StageProcess } from './request-view.ts';
import type { Span } from './span.ts';

/** Takes the spans of a process that is traced. */
export interface Tracing {
  /** Queues spans to be sent; never waits, and drops them if too many wait. */
  record(spans: readonly Span[]): void;
  /** Sends what waits, for at most a moment. */
  close(): Promise<void>;
}

export interface TracingParts {
  readonly role: StageProcess;
  readonly registry: MetricRegistry;
  readonly log: Log;
  readonly env?: Readonly<Record<string, string | undefined>>;
}
