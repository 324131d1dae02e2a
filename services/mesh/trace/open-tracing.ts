import type { OtlpOptions } from '#mesh/otlp/otlp-options.ts';
import { otlpTarget, targetName } from '#mesh/otlp/otlp-target.ts';
import type { Tracing, TracingParts } from './tracing.ts';

/** Starts tracing if the keys or the variables of OpenTelemetry ask for it; nothing is loaded otherwise. */
export async function openTracing(
  options: OtlpOptions,
  { env = process.env, ...parts }: TracingParts,
): Promise<Tracing | undefined> {
  const target = otlpTarget('traces', options, env);
  if (target === undefined) return undefined;
  const { OpenTelemetry } = await import('./open-telemetry.ts');
  const { role, log } = parts;
  log.info(`spans of ${role} go to ${targetName(target)}`);
  return new OpenTelemetry(target, { ...parts, env });
}
