import type { MetricFamily } from '#protos/autoglm/mesh/v1/instance.ts';

export interface WantedSamples {
  readonly name: string;
  /** Text after the family's name; `_total` for a counter. */
  readonly suffix: string;
  /** Labels that the samples must have. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** Returns the sum of a family's samples that have all `labels`; 0 if there is none. */
export function metricTotal(
  families: readonly MetricFamily[],
  { name, suffix, labels = {} }: WantedSamples,
): number {
  const wanted = Object.entries(labels);
  const samples = families.find((family) => family.name === name)?.samples ?? [];
  return samples
    .filter((sample) => sample.suffix === suffix)
    .filter((sample) => wanted.every(([label, value]) => sample.labels[label] === value))
    .reduce((sum, { value }) => sum + value, 0);
}
