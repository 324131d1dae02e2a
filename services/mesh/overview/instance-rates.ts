import type { InstanceOverview, MeshOverview } from './mesh-overview.ts';

/** What a process did between two overviews; undefined where they do not tell. */
export interface InstanceRates {
  /** Tokens of answers a second. */
  readonly tokenRate: number | undefined;
  /** Share of cache lookups that hit since the process began, 0 to 1. */
  readonly hitShare: number | undefined;
}

/** Compares the overviews of two moments, by the instances' addresses. */
export function ratesOf(
  before: MeshOverview | undefined,
  now: MeshOverview,
): ReadonlyMap<string, InstanceRates> {
  const previous = new Map(before?.instances.map((one) => [one.address, one]));
  const seconds = (now.read_ms - (before?.read_ms ?? now.read_ms)) / 1000;
  return new Map(
    now.instances.map((one) => {
      const tokenRate = tokenRateOf(previous.get(one.address), one, seconds);
      return [one.address, { tokenRate, hitShare: hitShareOf(one) }];
    }),
  );
}

function tokenRateOf(
  before: InstanceOverview | undefined,
  { life, counters, role }: InstanceOverview,
  seconds: number,
): number | undefined {
  if (role !== 'llm-backbone' || seconds <= 0) return undefined;
  // Another run of the process began to count anew.
  if (counters === null || !before?.counters || before.life !== life) return undefined;
  const numTokens = counters.generation_tokens - before.counters.generation_tokens;
  return numTokens < 0 ? undefined : numTokens / seconds;
}

function hitShareOf({ counters }: InstanceOverview): number | undefined {
  if (counters === null || counters.cache_queries === 0) return undefined;
  return counters.cache_hits / counters.cache_queries;
}
