import assert from 'node:assert/strict';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { InstanceServiceDefinition } from '#protos/autoglm/mesh/v1/instance.ts';

/** Sums a metric's samples on the gateway's `/metrics`; 0 if it has none yet. */
export async function scraped(url: string, metric: string): Promise<number> {
  return sumOf(await scrape(url), metric);
}

/** Reads the gateway's `/metrics`. */
export async function scrape(url: string): Promise<string> {
  return (await fetch(`${url}/metrics`)).text();
}

/** Sums a metric's samples in the text of `/metrics`; 0 if it has none. */
export function sumOf(text: string, metric: string): number {
  const sample = new RegExp(`^${metric}(?:\\{.*\\})? (\\S+)$`, 'gm');
  return [...text.matchAll(sample)].reduce((sum, [, value]) => sum + Number(value), 0);
}

/** Returns the CPU time of all processes of a role in the text of `/metrics`, seconds. */
export function cpuSecondsOf(text: string, role: string): number {
  return sumOf(text, `process_cpu_seconds_total\\{[^}]*role="${role}"[^}]*\\}`);
}

/** Sums a process's own metric, as `GetMetrics` gives it; samples may be chosen by labels. */
export async function ownMetric(
  address: string,
  { name, suffix, labels = {} }: OwnMetric,
): Promise<number> {
  const channel = openChannel(address, 'tokens');
  try {
    const { families } = await createMeshClient(InstanceServiceDefinition, channel).getMetrics({});
    const family = families.find((one) => one.name === name);
    assert(family !== undefined, `${address} has no metric ${name}`);
    const samples = family.samples.filter(
      (sample) =>
        sample.suffix === suffix &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
    return samples.reduce((sum, { value }) => sum + value, 0);
  } finally {
    channel.close();
  }
}

export interface OwnMetric {
  readonly name: string;
  /** Suffix of the samples: `_total` of a counter, `_count` of a histogram. */
  readonly suffix: string;
  readonly labels?: Readonly<Record<string, string>>;
}
