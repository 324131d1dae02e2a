import type { MetricRegistry } from '#mesh/metrics.ts';
import type { MetricSample } from '#protos/autoglm/mesh/v1/instance.ts';

/** Returns the samples of a metric; none if the registry has no such metric. */
export function samplesOf(registry: MetricRegistry, name: string): readonly MetricSample[] {
  return registry.collect().find((family) => family.name === name)?.samples ?? [];
}
