import { type InstanceRates, ratesOf } from '#mesh/overview/instance-rates.ts';
import type {
  GatewayOverview,
  InstanceOverview,
  MeshOverview,
} from '#mesh/overview/mesh-overview.ts';
import { formatTable } from '../table.ts';

/** Longest reason in the last column, so that a process is one line. */
const MAX_DETAIL_CHARS = 60;
const UNKNOWN = '-';

/** Draws a mesh: a line on its gateway, and a table of its instances. Rates are from `earlier` to `now`. */
export function topFrame(earlier: MeshOverview, now: MeshOverview): string {
  // A gateway that was started again counts anew.
  const before = now.gateway.uptime_ms < earlier.gateway.uptime_ms ? now : earlier;
  const rates = ratesOf(before, now);
  const rows = now.instances.map((one) => rowOf(one, rates.get(one.address)));
  const omitted = now.num_omitted === 0 ? [] : [`and ${now.num_omitted} more`];
  const seconds = (now.read_ms - before.read_ms) / 1000;
  const table = rows.length === 0 ? 'no instances' : formatTable(rows);
  return [gatewayLine(before.gateway, now.gateway, seconds), '', table, ...omitted].join('\n');
}

function gatewayLine(before: GatewayOverview, now: GatewayOverview, seconds: number): string {
  const since = (name: 'requests_total' | 'failures_total' | 'ttft_count' | 'ttft_sum_s') =>
    now[name] - before[name];
  const rate = seconds > 0 ? (since('requests_total') / seconds).toFixed(1) : UNKNOWN;
  const ttftMs = (1000 * since('ttft_sum_s')) / since('ttft_count');
  return [
    `gateway ${now.version} ${now.state}`,
    `${now.num_requests}/${now.max_requests} requests`,
    `${rate} requests/s`,
    `${since('failures_total')} failed`,
    `first token ${Number.isFinite(ttftMs) ? `${ttftMs.toFixed(0)} ms` : UNKNOWN}`,
    `${now.retries_total} retries, ${now.resumes_total} resumes`,
    `up ${duration(now.uptime_ms)}`,
  ].join('  ');
}

function rowOf(
  { address, role, state, detail, device, isa, model, load, uptime_ms }: InstanceOverview,
  rates: InstanceRates | undefined,
): Readonly<Record<string, string>> {
  return {
    address,
    role,
    state,
    device: device === null ? UNKNOWN : [device, isa ?? ''].join(' ').trim(),
    model: model ?? UNKNOWN,
    load: load === null ? UNKNOWN : `${load.num_running}+${load.num_waiting}/${load.capacity}`,
    'tokens/s': rates?.tokenRate === undefined ? UNKNOWN : rates.tokenRate.toFixed(0),
    kv: percent(load?.kv_cache_use ?? undefined),
    hits: percent(rates?.hitShare),
    up: uptime_ms === null ? UNKNOWN : duration(uptime_ms),
    detail: detail.slice(0, MAX_DETAIL_CHARS),
  };
}

function percent(share: number | undefined): string {
  return share === undefined ? UNKNOWN : `${(100 * share).toFixed(0)} %`;
}

/** Formats a duration in its largest unit: `42 s`, `7 min`, `3 h`, `12 d`. */
function duration(ms: number): string {
  const units = [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
  ] as const;
  const seconds = ms / 1000;
  const [unit, size] = units.find(([, least]) => seconds >= least) ?? ['s', 1];
  return `${Math.floor(seconds / size)} ${unit}`;
}
