import type { MetricRegistry } from '#mesh/metrics.ts';
import { MetricKind } from '#protos/autoglm/mesh/v1/instance.ts';
import { destinationsOf, type Log } from './log.ts';
import type { LogDestination } from './log-destination.ts';

/** What a process's log has lost. */
export class LogMetrics {
  readonly #registry: MetricRegistry;

  constructor(registry: MetricRegistry) {
    this.#registry = registry;
  }

  /** Adds the counters that read a log. */
  watch(log: Log): void {
    const counter = (name: string, help: string, read: (one: LogDestination) => number) =>
      this.#registry.register({
        name,
        help,
        kind: MetricKind.METRIC_KIND_COUNTER,
        collect: () =>
          destinationsOf(log).map((one) => ({
            suffix: '_total',
            labels: { destination: one.name },
            value: read(one),
          })),
      });
    counter('log_lines_dropped', 'Log lines dropped, by destination.', (one) => one.numDropped);
    counter('log_errors', 'Writes of the log that failed, by destination.', (one) => one.numErrors);
  }
}
