import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { DASHBOARDS } from '#deploy/observability/grafana/dashboards.ts';
import { within } from '#test/bounded.ts';
import { AUTOGLM, autoglm, type Mesh, property, startMesh, writeConfig } from '#test/e2e/mesh.ts';
import { postChat, streamAnswer, userMessage } from '#test/e2e/request/chat-request.ts';
import { chatRequest, readPhoneCases } from '#test/e2e/request/phone-cases.ts';
import { freePort } from '#test/free-port.ts';
import { Lines } from '#test/lines.ts';
import {
  metricFindings,
  SKIP_WITHOUT_ALERTMANAGER,
  SKIP_WITHOUT_PROMETHEUS,
} from '#test/prometheus-tools.ts';
import { PrometheusClient } from './prometheus-client.ts';

const SKIP = SKIP_WITHOUT_PROMETHEUS || SKIP_WITHOUT_ALERTMANAGER;

/** Time in which a rate is measured; two scrapes lie in it on a busy machine too. */
const RATE_INTERVAL = '1m';
/** Milliseconds between two looks at what must come. */
const LOOK_MS = 200;
/** Longest wait for a rise that two scrapes have seen, ms. */
const DATA_LIMIT_MS = 90_000;

const QUERIES = DASHBOARDS.flatMap(({ uid, rows }) =>
  rows.flatMap(({ panels }) =>
    panels.flatMap(({ title, queries }) =>
      queries.map(({ expr }) => ({
        what: `${uid}, ${title}`,
        expr: expr.replaceAll('$job', 'autoglm').replaceAll('$__rate_interval', RATE_INTERVAL),
      })),
    ),
  ),
);

/** Questions with a screenshot, with speech, with both, and without. */
const CASES = ['text', 'img_text', 'audio', 'img_audio'].flatMap((group) =>
  readPhoneCases('eval.json').filter((one) => one.group === group),
);

describe('a mesh that Prometheus watches', { skip: SKIP, timeout: 240_000 }, () => {
  let mesh: Mesh;
  let observing: ChildProcess;
  let lines: Lines;
  let prometheus: PrometheusClient;
  let folder = '';
  let alertmanagerUrl = '';
  let numAsked = 0;

  before(async () => {
    mesh = await startMesh({
      backbone: [
        `speculative-config: '{"method":"ngram","num_speculative_tokens":2,"prompt_lookup_min":1,"prompt_lookup_max":3}'`,
      ],
    });
    folder = await mkdtemp(join(tmpdir(), 'autoglm-e2e-observe-'));
    const ports = { prometheus: await freePort(), alertmanager: await freePort() };
    alertmanagerUrl = `http://127.0.0.1:${ports.alertmanager}`;
    prometheus = new PrometheusClient(`http://127.0.0.1:${ports.prometheus}`);
    observing = spawn(
      process.execPath,
      [
        ...[AUTOGLM, 'observe', '--config', mesh.config, '--scrape-interval-s', '0.5'],
        ...['--prometheus-port', String(ports.prometheus)],
        ...['--alertmanager-port', String(ports.alertmanager)],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, TMPDIR: folder } },
    );
    assert(observing.stdout !== null);
    lines = new Lines(observing.stdout);
    await lines.match(/^Ctrl-C ends both/);
  });
  after(async () => {
    observing.kill('SIGTERM');
    await mesh.stop();
    await rm(folder, { recursive: true });
  });

  /** Asks questions of all kinds at once, each round others. */
  async function ask(): Promise<void> {
    const count = 8;
    const asked = Array.from({ length: count }, (_, i) => {
      const question = CASES[((numAsked + i) * 37) % CASES.length];
      assert(question !== undefined);
      const body = chatRequest(question);
      return i % 2 === 0 ? streamAnswer(mesh.url, body) : postChat(mesh.url, body);
    });
    numAsked += count;
    // What repeats its prompt is drafted for.
    const repeating = { messages: userMessage('打开微信'), max_tokens: 40 };
    const refused = { messages: 'no list' };
    await Promise.all([...asked, postChat(mesh.url, repeating), postChat(mesh.url, refused)]);
  }

  /** Returns the queries without a value that is a number. */
  async function withoutData(queries: typeof QUERIES): Promise<typeof QUERIES> {
    const answers = await Promise.all(queries.map(({ expr }) => prometheus.query(expr)));
    return queries.filter((_, i) => !answers[i]?.some(({ value }) => Number.isFinite(value)));
  }

  it('has every process as a target that answers', async () => {
    const up = async () => {
      for (;;) {
        const found = await prometheus.query('up{job="autoglm"} == 1');
        if (found.length === 4) return found.map(({ labels }) => labels['instance']).sort();
        await delay(LOOK_MS);
      }
    };

    const names = await within(up(), { what: 'the scrape of every process' });

    assert.deepEqual(names, ['gateway', 'llm-backbone', 'speech-encoder', 'vision-encoder']);
  });

  it('gives every query of every dashboard data', async () => {
    let empty = QUERIES;
    const untilAll = async () => {
      while (empty.length > 0) {
        await ask();
        empty = await withoutData(empty);
      }
    };

    await within(untilAll(), {
      what: 'data for every query',
      trace: () => empty.map(({ what, expr }) => `none for ${what}: ${expr}`),
      boundMs: DATA_LIMIT_MS,
    });
  });

  it('has every metric that a dashboard or a rule names', async () => {
    const known = await prometheus.names();
    const rules = (await prometheus.rules()).map(({ name }) => name);

    const own = new Set([...rules, 'up', 'ALERTS', 'probe_ssl_earliest_cert_expiry']);
    const wanted = QUERIES.flatMap(({ expr }) =>
      [...expr.matchAll(/([a-z][\w:]+)(?=\{)/gi)].map(([, name = '']) => name),
    );
    assert(wanted.length > QUERIES.length);
    const isKnown = (name: string) =>
      own.has(name) || known.has(name) || known.has(name.replace(/_(bucket|sum|count)$/, ''));
    assert.deepEqual([...new Set(wanted.filter((name) => !isKnown(name)))], []);
  });

  it('lets every rule be evaluated, and tells Alertmanager', async () => {
    const evaluated = async () => {
      for (;;) {
        const rules = await prometheus.rules();
        const left = rules.filter(({ health }) => health === 'unknown');
        if (rules.length > 0 && left.length === 0) return rules;
        await delay(LOOK_MS);
      }
    };
    const rules = await within(evaluated(), { what: 'a look at every rule' });

    assert.deepEqual(
      rules.filter(({ health }) => health !== 'ok'),
      [],
    );
    assert.deepEqual(await prometheus.alertmanagers(), [`${alertmanagerUrl}/api/v2/alerts`]);
  });

  it('has no alert that fires', async () => {
    assert.deepEqual(await prometheus.query('ALERTS{alertstate="firing"}'), []);
  });

  it('shows pages in which promtool finds nothing but what is agreed', async () => {
    const { stdout } = await autoglm(['status', '--json', '--config', mesh.config]);
    const processes = property(JSON.parse(stdout), 'processes');
    assert(Array.isArray(processes));

    const addresses = processes.map((one: unknown) => String(property(one, 'metrics')));
    const urls = [
      ...addresses.map((address) => `http://${address}/metrics`),
      `${mesh.url}/metrics`,
    ];
    assert.equal(urls.length, 5);
    for (const url of urls) {
      const page = await (await fetch(url)).text();
      assert.deepEqual(await metricFindings(page), [], url);
    }
  });

  it('follows a process that is started again to its other port', async () => {
    const started = async () => {
      const [found] = await prometheus.query(
        'process_start_time_seconds{instance="speech-encoder"} and on (instance) up == 1',
      );
      return found?.value;
    };
    const first = await started();
    const [pid] = await mesh.pids('speech-encoder');
    assert(first !== undefined && pid !== undefined);

    process.kill(pid, 'SIGKILL');

    const again = async () => {
      for (;;) {
        const now = await started();
        if (now !== undefined && now !== first) return now;
        await delay(LOOK_MS);
      }
    };
    assert(
      (await within(again(), { what: 'the scrape of the next run', boundMs: 60_000 })) > first,
    );
    const up = await prometheus.query('max_over_time(up{instance="speech-encoder"}[5m])');
    assert.equal(up.length, 1, 'it is the same series');
  });

  it('says when the mesh has ended, and ends with Ctrl-C without a trace', async () => {
    await mesh.stop();
    await lines.match(/^the mesh is away/);
    const exit = once(observing, 'exit');

    observing.kill('SIGINT');

    assert.deepEqual(await within(exit, { what: 'the end' }), [0, null]);
    assert.deepEqual(await readdir(folder), []);
  });
});

describe('autoglm observe', () => {
  it('is refused without a mesh that runs', { skip: SKIP }, async () => {
    const { config } = await writeConfig();

    const { status, stderr } = await autoglm(['observe', '--config', config]);

    assert.equal(status, 1);
    assert.match(stderr, /^autoglm: no mesh runs here/);
  });

  it('names the package that is missing', async () => {
    const { status, stderr } = await autoglm(['observe'], '', { PATH: '/nonexistent' });

    assert.equal(status, 1);
    assert.match(stderr, /Prometheus is not installed; on Debian: apt-get install prometheus$/m);
  });

  it('lists its options', async () => {
    const { status, stdout } = await autoglm(['observe', '--help']);

    assert.equal(status, 0);
    assert.match(stdout, /--scrape-interval-s NUMBER/);
  });
});
