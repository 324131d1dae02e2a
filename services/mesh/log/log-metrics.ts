import type { MetricRegistry } from '#mesh/metrics.ts';
import { MetricKind } from '#protos/autoglm/mesh/v1/instance.ts';
import { destinationsOf, type Log } from './log.ts';
import type { LogDestination } from './log-destination.ts';

/** Shows what a process's log has lost. */
export function registerLogMetrics(registry: MetricRegistry, log: Log): void {
  const counters: [string, string, (one: LogDestination) => number][] = [
    ['log_lines_dropped', 'Log lines dropped, by destination.', (one) => one.numDropped],
    ['log_errors', 'Writes of the log that failed, by destination.', (one) => one.numErrors],
  ];
  for (const [name, help, read] of counters) {
    registry.register({
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
  }
}
