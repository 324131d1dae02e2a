// Writes the dashboards for Grafana, which a test holds to their sources:
//   node --import tsx -C source deploy/observability/write-dashboards.ts
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { grafanaJson } from './grafana/dashboard.ts';
import { DASHBOARDS } from './grafana/dashboards.ts';

for (const dashboard of DASHBOARDS) {
  const path = join(import.meta.dirname, 'dashboards', `${dashboard.uid}.json`);
  writeFileSync(path, grafanaJson(dashboard));
}
