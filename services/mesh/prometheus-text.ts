import { type MetricFamily, MetricKind } from '#protos/autoglm/mesh/v1/instance.ts';

/** Metric families of one process, with the labels that distinguish it from other processes. */
export interface MetricSource {
  readonly labels: Readonly<Record<string, string>>;
  readonly families: readonly MetricFamily[];
}

const KIND_NAMES = {
  [MetricKind.METRIC_KIND_COUNTER]: 'counter',
  [MetricKind.METRIC_KIND_GAUGE]: 'gauge',
  [MetricKind.METRIC_KIND_HISTOGRAM]: 'histogram',
  [MetricKind.METRIC_KIND_UNSPECIFIED]: 'untyped',
  [MetricKind.UNRECOGNIZED]: 'untyped',
} as const;

/**
 * Writes metrics in the Prometheus text exposition format 0.0.4, each family once under every
 * prefix: `autoglm:` is ours, `vllm:` is for existing dashboards and autoscalers.
 */
export function prometheusText(
  sources: readonly MetricSource[],
  prefixes: readonly string[],
): string {
  const byName = groupByName(flatten(sources));
  const lines: string[] = [];
  for (const prefix of prefixes) {
    for (const [name, entries] of byName) {
      const first = entries[0];
      if (first === undefined) continue;
      const suffix = first.family.kind === MetricKind.METRIC_KIND_COUNTER ? '_total' : '';
      lines.push(`# HELP ${prefix}${name}${suffix} ${escapeHelp(first.family.help)}`);
      lines.push(`# TYPE ${prefix}${name}${suffix} ${KIND_NAMES[first.family.kind]}`);
      for (const { family, labels } of entries) {
        for (const sample of family.samples) {
          const text = labelText({ ...labels, ...sample.labels });
          lines.push(`${prefix}${name}${sample.suffix}${text} ${valueText(sample.value)}`);
        }
      }
    }
  }
  return `${lines.join('\n')}\n`;
}

interface Entry {
  readonly family: MetricFamily;
  readonly labels: Readonly<Record<string, string>>;
}

function flatten(sources: readonly MetricSource[]): Entry[] {
  return sources.flatMap(({ labels, families }) => families.map((family) => ({ family, labels })));
}

function groupByName(entries: readonly Entry[]): Map<string, Entry[]> {
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) {
    const group = groups.get(entry.family.name);
    if (group === undefined) groups.set(entry.family.name, [entry]);
    else group.push(entry);
  }
  return groups;
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function valueText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (value === Infinity) return '+Inf';
  return value === -Infinity ? '-Inf' : String(value);
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function escapeHelp(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
