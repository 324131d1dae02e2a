import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseDocument } from 'yaml';
import { grafanaJson } from '#deploy/observability/grafana/dashboard.ts';
import { DASHBOARDS } from '#deploy/observability/grafana/dashboards.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import {
  runObserverTool,
  SKIP_WITHOUT_ALERTMANAGER,
  SKIP_WITHOUT_PROMETHEUS,
} from '#test/prometheus-tools.ts';

const FOLDER = join(PACKAGE_ROOT, 'deploy/observability');

async function accepts(command: readonly string[]): Promise<void> {
  const { status, output } = await runObserverTool(command);
  assert.equal(status, 0, output);
}

describe('what Prometheus is told', { skip: SKIP_WITHOUT_PROMETHEUS }, () => {
  it('are rules that it accepts', async () => {
    const rules = await readdir(join(FOLDER, 'rules'));

    await accepts([
      'promtool',
      'check',
      'rules',
      ...rules.map((name) => join(FOLDER, 'rules', name)),
    ]);
  });

  for (const name of ['prometheus.yml', 'prometheus-files.yml']) {
    it(`is a configuration that it accepts (${name})`, () =>
      accepts(['promtool', 'check', 'config', join(FOLDER, name)]));
  }

  it('is one for Kubernetes, accepted but for the discovery that some builds lack', async (t) => {
    const document = parseDocument(
      await readFile(join(FOLDER, 'prometheus-kubernetes.yml'), 'utf8'),
    );
    const folder = await mkdtemp(join(tmpdir(), 'autoglm-prometheus-'));
    t.after(() => rm(folder, { recursive: true }));
    const path = join(folder, 'prometheus.yml');

    assert(document.deleteIn(['scrape_configs', 0, 'kubernetes_sd_configs']));
    await writeFile(path, document.toString());

    await accepts(['promtool', 'check', 'config', '--syntax-only', path]);
  });
});

describe('what Alertmanager is told', { skip: SKIP_WITHOUT_ALERTMANAGER }, () => {
  const config = join(FOLDER, 'alertmanager.yml');

  it('is a configuration that it accepts', () => accepts(['amtool', 'check-config', config]));

  for (const severity of ['page', 'ticket']) {
    it(`takes an alert of severity ${severity} to the receiver of that name`, async () => {
      const command = ['amtool', 'config', 'routes', 'test', `--config.file=${config}`];

      const { output } = await runObserverTool([...command, `severity=${severity}`]);

      assert.match(output, new RegExp(`^${severity}$`, 'm'));
    });
  }
});

describe('the dashboards', () => {
  it('are those that their sources make', async () => {
    const folder = join(FOLDER, 'dashboards');

    const names = DASHBOARDS.map(({ uid }) => `${uid}.json`);
    assert.deepEqual((await readdir(folder)).sort(), names.sort());
    for (const dashboard of DASHBOARDS) {
      const written = await readFile(join(folder, `${dashboard.uid}.json`), 'utf8');
      assert.equal(written, grafanaJson(dashboard), 'see write-dashboards.ts');
    }
  });

  it('have panels that do not overlap, each with a title, words and a query', () => {
    for (const dashboard of DASHBOARDS) {
      const { panels } = JSON.parse(grafanaJson(dashboard));
      const taken = new Set<string>();
      for (const { title, type, gridPos, targets, description } of panels) {
        assert(title !== '' && (type === 'row' || (targets.length > 0 && description !== '')));
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
            assert(x < 24 && !taken.has(`${x} ${y}`), `${dashboard.uid}: ${title}`);
            taken.add(`${x} ${y}`);
          }
        }
      }
    }
  });
});
