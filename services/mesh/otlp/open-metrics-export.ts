import { MeshError } from '#mesh/errors.ts';
import type { MetricsExport, MetricsExportParts } from './metrics-sending.ts';
import type { OtlpOptions } from './otlp-options.ts';
import { otlpTarget, targetName } from './otlp-target.ts';

/**
 * Starts to send metrics if the keys or the variables of OpenTelemetry ask for it; nothing is loaded
 * otherwise.
 */
export async function openMetricsExport(
  options: OtlpOptions,
  { env = process.env, ...parts }: MetricsExportParts,
): Promise<MetricsExport | undefined> {
  const target = otlpTarget('metrics', options, env);
  if (target === undefined) return undefined;
  checkTemporality(env[TEMPORALITY] ?? '');
  const { OtlpMetricsExport } = await import('./metrics-export.ts');
  parts.log.info(`metrics of ${parts.role} go to ${targetName(target)}`);
  return new OtlpMetricsExport(target, { ...parts, env });
}

const TEMPORALITY = 'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE';

function checkTemporality(wanted: string): void {
  if (wanted === '' || wanted.toLowerCase() === 'cumulative') return;
  const message = `the variable ${TEMPORALITY}: must be cumulative, got ${wanted}`;
  throw new MeshError('INVALID_REQUEST', message);
}
