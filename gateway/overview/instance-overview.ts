import type {
  InstanceOverview,
  InstanceOverviewCounters,
  InstanceOverviewLoad,
  InstanceOverviewRole,
  InstanceOverviewState,
} from '#mesh/overview/mesh-overview.ts';
import type { Peer } from '#mesh/peers/peer.ts';
import {
  type GetStatusResponse,
  InstanceState,
  type MetricFamily,
  type WatchResponse,
} from '#protos/autoglm/mesh/v1/instance.ts';
import { metricTotal } from './metric-total.ts';

/** A process that is looked at. */
export type ViewedPeer = Pick<
  Peer<unknown, unknown>,
  'address' | 'member' | 'life' | 'isReady' | 'mismatch' | 'facts' | 'instance'
>;

/** What is known of a process besides its readiness. */
export interface KnownInstance {
  /** The last facts heard, also while it is away. */
  readonly facts: WatchResponse | undefined;
  readonly status: GetStatusResponse | undefined;
  /** Undefined if it does not answer now. */
  readonly families: readonly MetricFamily[] | undefined;
}

/** Describes one process; `defaultRole` counts until it has told its own. */
export function instanceOverview(
  peer: ViewedPeer,
  { facts, status, families }: KnownInstance,
  defaultRole: InstanceOverviewRole,
): InstanceOverview {
  const role = roleOf(facts?.role) ?? defaultRole;
  return {
    address: peer.address,
    role,
    state: stateOf(peer),
    detail: peer.mismatch ?? peer.facts?.detail ?? '',
    life: peer.life,
    instance_name: textOf(facts?.instanceName),
    version: textOf(facts?.version),
    pid: status?.pid ?? null,
    uptime_ms: status === undefined ? null : Number(status.uptimeMs),
    device: textOf(status?.device),
    isa: textOf(status?.isa),
    model: textOf(facts?.modelId),
    fingerprint: textOf(facts?.fingerprint),
    weight_dtype: textOf(facts?.numerics?.weightDtype),
    quantization: textOf(facts?.numerics?.quantization),
    load: loadOf(peer.facts, role),
    counters: families === undefined ? null : countersOf(families, role),
  };
}

function stateOf({ member, isReady, mismatch, facts }: ViewedPeer): InstanceOverviewState {
  if (member.isLeaving) return 'draining';
  if (isReady) return 'ready';
  if (mismatch !== undefined) return 'refused';
  switch (facts?.state) {
    case InstanceState.INSTANCE_STATE_STARTING:
      return 'starting';
    case InstanceState.INSTANCE_STATE_DRAINING:
      return 'draining';
    case InstanceState.INSTANCE_STATE_FAILED:
      return 'failed';
    default:
      // It says that it is ready and cannot be heard or asked.
      return 'away';
  }
}

function loadOf(
  facts: WatchResponse | undefined,
  role: InstanceOverviewRole,
): InstanceOverviewLoad | null {
  if (facts?.load === undefined) return null;
  const { numRunning, numWaiting, capacity, numOutstandingTokens, kvCacheUse } = facts.load;
  return {
    num_running: numRunning,
    num_waiting: numWaiting,
    capacity,
    num_outstanding_tokens: numOutstandingTokens,
    kv_cache_use: role === 'llm-backbone' ? kvCacheUse : null,
  };
}

function countersOf(
  families: readonly MetricFamily[],
  role: InstanceOverviewRole,
): InstanceOverviewCounters {
  const total = (name: string) => metricTotal(families, { name, suffix: '_total' });
  const cache = role === 'llm-backbone' ? 'prefix_cache' : 'mm_cache';
  return {
    prompt_tokens: total('prompt_tokens'),
    generation_tokens: total('generation_tokens'),
    cache_queries: total(`${cache}_queries`),
    cache_hits: total(`${cache}_hits`),
  };
}

function roleOf(text: string | undefined): InstanceOverviewRole | undefined {
  const roles = ['llm-backbone', 'vision-encoder', 'speech-encoder'] as const;
  return roles.find((role) => role === text);
}

function textOf(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}
