import { readdirSync, readFileSync } from 'node:fs';
import { Histogram, type Labels, type Level, type MetricRegistry } from '#mesh/metrics.ts';
import { MetricKind } from '#protos/autoglm/mesh/v1/instance.ts';
import { VERSION } from './instance.ts';
import { ownName } from './supervision.ts';

/** Variable in which a supervisor tells a process how often it has started it again. */
export const RESTARTS = 'AUTOGLM_RESTARTS';

/** Names that Prometheus' clients serve without a prefix, and the software's own information. */
export const PROCESS_METRICS: ReadonlySet<string> = new Set([
  'process_cpu_seconds',
  'process_resident_memory_bytes',
  'process_open_fds',
  'process_max_fds',
  'process_start_time_seconds',
  'process_restarts',
  'process_event_loop_delay_seconds',
  'autoglm_build_info',
]);

/** Milliseconds between two looks at the event loop. */
const LOOK_MS = 20;
const DELAY_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const START_TIME_S = Date.now() / 1000 - process.uptime();

let eventLoop: Histogram | undefined;

/** Adds what the system tells about this process, under the names of Prometheus' clients. */
export function watchProcess(registry: MetricRegistry, role: string): void {
  const labels = { role, process: ownName(role) };
  const counter = (name: string, help: string, read: () => number) =>
    registry.register({
      name,
      help,
      kind: MetricKind.METRIC_KIND_COUNTER,
      collect: () => [{ suffix: '_total', labels, value: read() }],
    });
  counter('process_cpu_seconds', 'User and system CPU time, seconds.', cpuSeconds);
  counter('process_restarts', 'Times that the supervisor has started the process again.', restarts);
  registry.show(
    [
      {
        name: 'process_resident_memory_bytes',
        help: 'Resident memory, bytes.',
        read: () => process.memoryUsage.rss(),
      },
      {
        name: 'process_start_time_seconds',
        help: 'Start of the process, seconds since 1970.',
        read: () => START_TIME_S,
      },
      ...descriptorLevels(),
    ],
    labels,
  );
  const build = { ...labels, version: VERSION, node: process.version };
  const help = 'Version of the software and of Node.js; the value is 1.';
  registry.show([{ name: 'autoglm_build_info', help, read: () => 1 }], build);
  watchEventLoop(registry, labels);
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function restarts(): number {
  return Number(process.env[RESTARTS] ?? 0);
}

/** Returns the levels of file descriptors; only Linux tells them. */
function descriptorLevels(): Level[] {
  const limit = descriptorLimit();
  if (limit === undefined) return [];
  return [
    {
      name: 'process_open_fds',
      help: 'Open file descriptors.',
      // The reading itself has one open.
      read: () => readdirSync('/proc/self/fd').length - 1,
    },
    { name: 'process_max_fds', help: 'Most file descriptors.', read: () => limit },
  ];
}

function descriptorLimit(): number | undefined {
  try {
    const text = readFileSync('/proc/self/limits', 'utf8');
    const [, soft] = /^Max open files\s+(\S+)/m.exec(text) ?? [];
    if (soft === undefined) return undefined;
    return soft === 'unlimited' ? Infinity : Number(soft);
  } catch {
    return undefined;
  }
}

/** Adds the delay of the event loop, which is one for all registries of this process. */
function watchEventLoop(registry: MetricRegistry, labels: Labels): void {
  eventLoop ??= lookAtEventLoop();
  const { name, help, kind } = eventLoop;
  const seen = eventLoop;
  registry.register({
    name,
    help,
    kind,
    collect: () =>
      seen.collect().map((sample) => ({ ...sample, labels: { ...labels, ...sample.labels } })),
  });
}

/** Observes how late a timer is, for as long as the process lives. */
function lookAtEventLoop(): Histogram {
  const histogram = new Histogram(
    'process_event_loop_delay_seconds',
    `How late a timer was that is due every ${LOOK_MS} ms, seconds.`,
    DELAY_BUCKETS_S,
  );
  let lastMs = performance.now();
  const look = () => {
    const nowMs = performance.now();
    histogram.observe(Math.max(0, nowMs - lastMs - LOOK_MS) / 1000);
    lastMs = nowMs;
  };
  setInterval(look, LOOK_MS).unref();
  return histogram;
}
