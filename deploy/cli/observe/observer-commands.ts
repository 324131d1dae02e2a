import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import type { ObserverCommand } from './observer-process.ts';

const SHIPPED = join(PACKAGE_ROOT, 'deploy', 'observability');

export interface ObserverPlan {
  /** Folder for what the programs keep. */
  readonly folder: string;
  /** File with the targets. */
  readonly targets: string;
  /** Addresses `host:port`. */
  readonly prometheus: string;
  readonly alertmanager: string;
  readonly scrapeIntervalS: number;
}

/** Returns how Alertmanager is started, with the routes that the mesh has for it. */
export function alertmanagerCommand(path: string, plan: ObserverPlan): ObserverCommand {
  const { folder, alertmanager: address } = plan;
  const args = [
    `--config.file=${join(SHIPPED, 'alertmanager.yml')}`,
    `--storage.path=${join(folder, 'alertmanager')}`,
    `--web.listen-address=${address}`,
    // Alone, it needs no port for others of its kind.
    '--cluster.listen-address=',
    '--log.level=warn',
  ];
  return { path, args, address };
}

/** Writes the configuration of Prometheus; returns how it is started. */
export async function prometheusCommand(
  path: string,
  plan: ObserverPlan,
): Promise<ObserverCommand> {
  const { folder, prometheus: address } = plan;
  const config = join(folder, 'prometheus.yml');
  await writeFile(config, await prometheusConfig(plan));
  const args = [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'prometheus')}`,
    `--web.listen-address=${address}`,
    '--log.level=warn',
  ];
  return { path, args, address };
}

/** Makes the configuration from the one that the mesh has for targets in files. */
async function prometheusConfig(plan: ObserverPlan): Promise<string> {
  const document = parseDocument(await readFile(join(SHIPPED, 'prometheus-files.yml'), 'utf8'));
  const interval = `${Math.round(1000 * plan.scrapeIntervalS)}ms`;
  for (const key of ['scrape_interval', 'scrape_timeout', 'evaluation_interval']) {
    document.setIn(['global', key], interval);
  }
  document.setIn(['rule_files'], [join(SHIPPED, 'rules', '*.yml')]);
  const alerting = ['alerting', 'alertmanagers', 0, 'static_configs', 0, 'targets'];
  document.setIn(alerting, [plan.alertmanager]);
  document.setIn(['scrape_configs', 0, 'file_sd_configs', 0, 'files'], [plan.targets]);
  return document.toString();
}
