import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parse, stringify } from 'yaml';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { runObserverTool, SKIP_WITHOUT_PROMETHEUS } from '#test/prometheus-tools.ts';

const FOLDER = join(PACKAGE_ROOT, 'deploy/observability');
const RULES = ['recording.yml', 'alerts.yml'].map((name) => join(FOLDER, 'rules', name));

/** Series in promtool's notation, by name and labels: a value a minute, `0+10x60` is 0, 10, 20, … */
type SeriesOf = Readonly<Record<string, string>>;

interface AlertCase {
  readonly alert: string;
  /** Labels of the alert besides its name and severity. */
  readonly labels: Readonly<Record<string, string>>;
  /** What makes it fire, and the minute at which it does. */
  readonly fires: SeriesOf;
  /** What looks like it and is in order, at the same minute. */
  readonly quiet: SeriesOf;
  readonly atMinute: number;
}

const MESH = { job: 'autoglm' };
const BACKBONE = { ...MESH, instance: 'llm-backbone' };
const of = (labels: Readonly<Record<string, string>>) =>
  `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${value}"`)
    .join(',')}}`;
const on = (metric: string, labels: Readonly<Record<string, string>> = BACKBONE) =>
  `${metric}${of(labels)}`;

/** Requests to generate: how many a minute are answered, and how many of them with 5xx. */
function traffic(numAnswered: number, numFailed: string, minutes: number): SeriesOf {
  const request = (status: string) =>
    on('http_requests_total', { ...MESH, method: 'POST', handler: '/v1/chat/completions', status });
  return {
    [request('2xx')]: `0+${numAnswered}x${minutes}`,
    [request('5xx')]: numFailed,
    [on('autoglm:gateway_broken_streams_total', MESH)]: `0x${minutes}`,
    // Probes of a mesh that is not ready are no failures.
    [on('http_requests_total', {
      ...MESH,
      method: 'POST',
      handler: '/ping',
      status: '5xx',
    })]: `0+60x${minutes}`,
  };
}

const HOUR = 60;
const DAY = 24 * HOUR;

/** A histogram of which each observation lies in one bucket. */
function histogram(name: string, { bounds, at }: { bounds: readonly string[]; at: string }) {
  const first = bounds.indexOf(at);
  return Object.fromEntries(
    bounds.map((le, i) => [
      on(`${name}_bucket`, { ...BACKBONE, le }),
      `0+${i < first ? 0 : 60}x60`,
    ]),
  );
}

const TTFT = 'autoglm:gateway_time_to_first_token_seconds';
const TTFT_BOUNDS = ['1', '5', '10', '+Inf'];
const LOOP = 'process_event_loop_delay_seconds';
const LOOP_BOUNDS = ['0.1', '0.25', '0.5', '+Inf'];

const EJECTED_BACKBONE = { ...MESH, address: '127.0.0.1:8051' };
const EJECTED_ENCODER = { ...MESH, encoder: '127.0.0.1:8052', modality: 'image' };

const CASES: readonly AlertCase[] = [
  {
    alert: 'AutoglmInstanceDown',
    labels: BACKBONE,
    fires: { [on('up')]: '1x4 0x10' },
    quiet: { [on('up')]: '1x8 0 1x10', [on('up', { job: 'node', instance: 'x' })]: '0x20' },
    atMinute: 9,
  },
  {
    alert: 'AutoglmNoBackboneReady',
    labels: MESH,
    fires: { [on('autoglm:gateway_backbone_ready', { ...MESH, address: 'a' })]: '1x4 0x10' },
    quiet: {
      [on('autoglm:gateway_backbone_ready', { ...MESH, address: 'a' })]: '0x20',
      [on('autoglm:gateway_backbone_ready', { ...MESH, address: 'b' })]: '1x20',
    },
    atMinute: 8,
  },
  {
    alert: 'AutoglmEngineUnhealthy',
    labels: { ...BACKBONE, model_name: 'm' },
    fires: { [on('vllm:engine_healthy', { ...BACKBONE, model_name: 'm' })]: '1x4 0x10' },
    quiet: { [on('vllm:engine_healthy', { ...BACKBONE, model_name: 'm' })]: '1x8 0 1x10' },
    atMinute: 9,
  },
  {
    alert: 'AutoglmBackboneEjected',
    labels: EJECTED_BACKBONE,
    fires: { [on('autoglm:gateway_backbone_ejected', EJECTED_BACKBONE)]: '0x4 1x10' },
    quiet: { [on('autoglm:gateway_backbone_ejected', EJECTED_BACKBONE)]: '0x8 1 0x10' },
    atMinute: 9,
  },
  {
    alert: 'AutoglmEncoderEjected',
    labels: EJECTED_ENCODER,
    fires: { [on('autoglm:encoder_endpoints_ejected', EJECTED_ENCODER)]: '0x4 1x10' },
    quiet: { [on('autoglm:encoder_endpoints_ejected', EJECTED_ENCODER)]: '0x8 1 0x10' },
    atMinute: 9,
  },
  {
    alert: 'AutoglmRegistryLost',
    labels: BACKBONE,
    fires: { [on('autoglm:registry_lease_held')]: '1x4 0x10' },
    quiet: { [on('autoglm:registry_lease_held')]: '1x8 0 1x10' },
    atMinute: 10,
  },
  {
    alert: 'AutoglmRestartLoop',
    labels: BACKBONE,
    fires: { [on('process_start_time_seconds')]: '1000x4 1300x3 1500x3 1700x10' },
    quiet: { [on('process_start_time_seconds')]: '1000x4 1300x6 1700x10' },
    atMinute: 13,
  },
  {
    alert: 'AutoglmResumeStorm',
    labels: MESH,
    fires: {
      ...traffic(100, '0x60', 60),
      [on('autoglm:gateway_resumes_total', { ...MESH, exact: 'true' })]: '0+10x60',
    },
    // One backbone of many was lost, once.
    quiet: {
      ...traffic(100, '0x60', 60),
      [on('autoglm:gateway_resumes_total', { ...MESH, exact: 'true' })]: '0x20 40x40',
    },
    atMinute: 40,
  },
  {
    alert: 'AutoglmErrorBudgetBurnsFast',
    labels: MESH,
    // 2 % for an hour, after a good day.
    fires: traffic(98, `0x${DAY - 62} 2+2x61`, DAY),
    // As many, but they ended half an hour ago.
    quiet: traffic(98, `0x${DAY - 92} 2+2x61 124x30`, DAY),
    atMinute: DAY,
  },
  {
    alert: 'AutoglmErrorBudgetBurnsSlowly',
    labels: MESH,
    fires: traffic(9960, `0+40x${DAY}`, DAY),
    quiet: traffic(9995, `0+5x${DAY}`, DAY),
    atMinute: DAY,
  },
  {
    alert: 'AutoglmFirstTokenSlow',
    labels: MESH,
    fires: histogram(TTFT, { bounds: TTFT_BOUNDS, at: '10' }),
    quiet: histogram(TTFT, { bounds: TTFT_BOUNDS, at: '5' }),
    atMinute: 30,
  },
  {
    alert: 'AutoglmQueueGrows',
    labels: MESH,
    fires: { [on('vllm:num_requests_waiting')]: '0+2x60' },
    quiet: { [on('vllm:num_requests_waiting')]: '100-1x60' },
    atMinute: 30,
  },
  {
    alert: 'AutoglmKvCacheFull',
    labels: { ...BACKBONE, model_name: 'm' },
    fires: { [on('vllm:kv_cache_usage_perc', { ...BACKBONE, model_name: 'm' })]: '0.97x60' },
    quiet: {
      [on('vllm:kv_cache_usage_perc', { ...BACKBONE, model_name: 'm' })]: '0.5x20 1x4 0.6x60',
    },
    atMinute: 26,
  },
  {
    alert: 'AutoglmEncoderQueueLong',
    labels: BACKBONE,
    fires: {
      [on('autoglm:encoder_items_running')]: '30x30',
      [on('autoglm:encoder_items_limit')]: '32x30',
    },
    quiet: {
      [on('autoglm:encoder_items_running')]: '16x30',
      [on('autoglm:encoder_items_limit')]: '32x30',
    },
    atMinute: 10,
  },
  {
    alert: 'AutoglmEventLoopHeld',
    labels: BACKBONE,
    fires: histogram(LOOP, { bounds: LOOP_BOUNDS, at: '0.5' }),
    quiet: histogram(LOOP, { bounds: LOOP_BOUNDS, at: '0.1' }),
    atMinute: 30,
  },
  {
    alert: 'AutoglmDescriptorsScarce',
    labels: BACKBONE,
    fires: { [on('process_open_fds')]: '1000x30', [on('process_max_fds')]: '1024x30' },
    quiet: { [on('process_open_fds')]: '500x30', [on('process_max_fds')]: '1024x30' },
    atMinute: 10,
  },
  {
    alert: 'AutoglmTelemetryLost',
    labels: BACKBONE,
    fires: {
      [on('autoglm:trace_spans_dropped_total', { ...BACKBONE, reason: 'queue_full' })]: '0x5 7x20',
    },
    quiet: {
      [on('autoglm:log_lines_dropped_total', { ...BACKBONE, destination: 'file' })]: '7x30',
    },
    atMinute: 15,
  },
  {
    alert: 'AutoglmCertificateExpires',
    labels: { job: 'blackbox', instance: 'https://mesh.example' },
    // A time in promtool's tests begins at 0.
    fires: {
      [on('probe_ssl_earliest_cert_expiry', { job: 'blackbox', instance: 'https://mesh.example' })]:
        '864000x200',
    },
    quiet: {
      [on('probe_ssl_earliest_cert_expiry', { job: 'blackbox', instance: 'https://mesh.example' })]:
        '8640000x200',
    },
    atMinute: 120,
  },
];

interface AlertRule {
  readonly alert: string;
  readonly labels: { readonly severity: string };
}

describe('the alerts', { skip: SKIP_WITHOUT_PROMETHEUS }, () => {
  let folder: string;
  const severities = new Map<string, string>();

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'autoglm-alerts-'));
    const { groups } = parse(await readFile(join(FOLDER, 'rules/alerts.yml'), 'utf8'));
    const rules: readonly AlertRule[] = groups.flatMap(
      ({ rules: all }: { rules: AlertRule[] }) => all,
    );
    for (const { alert, labels } of rules) severities.set(alert, labels.severity);
  });
  after(() => rm(folder, { recursive: true }));

  /** Lets promtool compare what fires at a minute, all alerts counted, with what is expected. */
  async function check(one: AlertCase, how: 'fires' | 'quiet'): Promise<void> {
    const { alert, labels, atMinute } = one;
    const firing = {
      alertname: alert,
      alertstate: 'firing',
      severity: severities.get(alert) ?? '',
      ...labels,
    };
    const samples = how === 'fires' ? [{ labels: on('ALERTS', firing), value: 1 }] : [];
    const test = {
      interval: '1m',
      input_series: Object.entries(one[how]).map(([series, values]) => ({ series, values })),
      promql_expr_test: [
        { expr: 'ALERTS{alertstate="firing"}', eval_time: `${atMinute}m`, exp_samples: samples },
      ],
    };
    const path = join(folder, `${alert}-${how}.yml`);
    await writeFile(
      path,
      stringify({ rule_files: RULES, evaluation_interval: '1m', tests: [test] }),
    );
    const { status, output } = await runObserverTool(['promtool', 'test', 'rules', path]);
    assert.equal(status, 0, output);
  }

  it('have a case each', () => {
    assert.deepEqual([...severities.keys()].sort(), CASES.map(({ alert }) => alert).sort());
  });

  it('have a line each in the README that says what to do', async () => {
    const readme = await readFile(join(FOLDER, 'README.md'), 'utf8');

    const listed = [...readme.matchAll(/^\| `(Autoglm\w+)` \|/gm)].map(([, name]) => name);
    assert.deepEqual(listed.sort(), [...severities.keys()].sort());
  });

  for (const one of CASES) {
    it(`${one.alert} fires, and nothing else`, () => check(one, 'fires'));

    it(`${one.alert} does not fire when all is in order, nor does anything else`, () =>
      check(one, 'quiet'));
  }
});
