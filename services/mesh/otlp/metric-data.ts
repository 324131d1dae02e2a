// It loads OpenTelemetry, so it is imported only where metrics are sent.
import { type HrTime, ValueType } from '@opentelemetry/api';
import { metrics } from '@opentelemetry/sdk-node';
import type { Labels } from '#mesh/metrics.ts';
import {
  type MetricFamily,
  MetricKind,
  type MetricSample,
} from '#protos/autoglm/mesh/v1/instance.ts';

/** A time span that values were counted in. */
export interface CountedTime {
  readonly startTime: HrTime;
  readonly endTime: HrTime;
}

/** Units by the ends of names, in the words of UCUM. */
const UNITS: readonly (readonly [ending: string, unit: string])[] = [
  ['_seconds', 's'],
  ['_bytes', 'By'],
];

/** Returns a family as OpenTelemetry has it, all values counted since the process started. */
export function metricData(
  family: MetricFamily,
  name: string,
  time: CountedTime,
): metrics.MetricData {
  const shared = {
    descriptor: {
      name,
      description: family.help,
      unit: UNITS.find(([ending]) => family.name.endsWith(ending))?.[1] ?? '',
      valueType: ValueType.DOUBLE,
    },
    aggregationTemporality: metrics.AggregationTemporality.CUMULATIVE,
  };
  const points = () =>
    family.samples.map(({ labels, value }) => ({ ...time, attributes: labels, value }));
  switch (family.kind) {
    case MetricKind.METRIC_KIND_COUNTER:
      return {
        ...shared,
        dataPointType: metrics.DataPointType.SUM,
        isMonotonic: true,
        dataPoints: points(),
      };
    case MetricKind.METRIC_KIND_HISTOGRAM:
      return {
        ...shared,
        dataPointType: metrics.DataPointType.HISTOGRAM,
        dataPoints: histograms(family.samples).map(({ labels, value }) => {
          return { ...time, attributes: labels, value };
        }),
      };
    case MetricKind.METRIC_KIND_GAUGE:
    case MetricKind.METRIC_KIND_UNSPECIFIED:
    case MetricKind.UNRECOGNIZED:
      return { ...shared, dataPointType: metrics.DataPointType.GAUGE, dataPoints: points() };
  }
}

interface LabelledHistogram {
  readonly labels: Labels;
  readonly value: metrics.Histogram;
}

/**
 * Puts the samples of histograms together, which come as the registry writes them: of each label set
 * its buckets, cumulative, by rising bounds, then `_sum` and `_count`.
 */
function histograms(samples: readonly MetricSample[]): LabelledHistogram[] {
  const found: LabelledHistogram[] = [];
  let boundaries: number[] = [];
  let counts: number[] = [];
  let [numBelow, sum] = [0, 0];
  for (const { suffix, labels, value } of samples) {
    if (suffix === '_bucket') {
      if (labels['le'] !== '+Inf') boundaries.push(Number(labels['le']));
      counts.push(value - numBelow);
      numBelow = value;
    } else if (suffix === '_sum') sum = value;
    else {
      found.push({ labels, value: { buckets: { boundaries, counts }, sum, count: value } });
      [boundaries, counts] = [[], []];
      [numBelow, sum] = [0, 0];
    }
  }
  return found;
}
