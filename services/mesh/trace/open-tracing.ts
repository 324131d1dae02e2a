import { MeshError } from '#mesh/errors.ts';
import type { TraceOptions } from './trace-options.ts';
import type { OtlpProtocol, OtlpTarget, Tracing, TracingParts } from './tracing.ts';

/** Starts tracing if the keys or the variables of OpenTelemetry ask for it; nothing is loaded otherwise. */
export async function openTracing(
  options: TraceOptions,
  { env = process.env, ...parts }: TracingParts,
): Promise<Tracing | undefined> {
  const target = otlpTarget(options, env);
  if (target === undefined) return undefined;
  const { OpenTelemetry } = await import('./open-telemetry.ts');
  const { role, log } = parts;
  log.info(
    `spans of ${role} go to ${target.url ?? 'the collector that OTEL_* variables name'} by ${target.protocol}`,
  );
  return new OpenTelemetry(target, { ...parts, env });
}

/** Returns where spans go; undefined if there is no tracing. */
export function otlpTarget(
  { otlpTracesEndpoint: url, otlpTracesProtocol }: TraceOptions,
  env: Readonly<Record<string, string | undefined>>,
): OtlpTarget | undefined {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return undefined;
  const exporter = env['OTEL_TRACES_EXPORTER'] ?? '';
  const hasPlace =
    exporter === 'otlp' ||
    Boolean(env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_ENDPOINT']);
  if (url === undefined) {
    if (exporter === 'none') return undefined;
    if (exporter !== '' && exporter !== 'otlp') {
      throw refused('the variable OTEL_TRACES_EXPORTER', `must be otlp or none, got ${exporter}`);
    }
    if (!hasPlace) return undefined;
  } else checkUrl(url);
  return { url, protocol: otlpTracesProtocol ?? protocolIn(env) };
}

function protocolIn(env: Readonly<Record<string, string | undefined>>): OtlpProtocol {
  const names = ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'] as const;
  for (const name of names) {
    const said = env[name] ?? '';
    if (said === '') continue;
    const known = PROTOCOLS.find((one) => one === said);
    if (known !== undefined) return known;
    throw refused(`the variable ${name}`, `must be one of ${PROTOCOLS.join(', ')}, got ${said}`);
  }
  return 'http/protobuf';
}

const PROTOCOLS: readonly OtlpProtocol[] = ['http/protobuf', 'http/json', 'grpc'];

function checkUrl(url: string): void {
  const isHttp = URL.canParse(url) && ['http:', 'https:'].includes(new URL(url).protocol);
  if (isHttp) return;
  throw refused('key "otlp-traces-endpoint"', `must be an http or https URL, got ${url}`);
}

function refused(what: string, rule: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${what}: ${rule}`);
}
