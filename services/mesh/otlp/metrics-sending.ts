import type { Log } from '#mesh/log/log.ts';
import type { MetricRegistry } from '#mesh/metrics.ts';

/** Sends the metrics of a process while it lives. */
export interface MetricsExport {
  /** Sends them once more, for at most a moment. */
  close(): Promise<void>;
}

export interface MetricsExportParts {
  readonly role: string;
  readonly registry: MetricRegistry;
  readonly log: Log;
  readonly env?: Readonly<Record<string, string | undefined>>;
}
