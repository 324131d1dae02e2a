import { MeshError } from '#mesh/errors.ts';
import type { OtlpOptions, OtlpProtocol } from './otlp-options.ts';

export type OtlpSignal = 'traces' | 'metrics';

/** Where and how something is sent. */
export interface OtlpTarget {
  /** Undefined: where the variables of OpenTelemetry say. */
  readonly url: string | undefined;
  readonly protocol: OtlpProtocol;
}

type Environment = Readonly<Record<string, string | undefined>>;

const PROTOCOLS: readonly OtlpProtocol[] = ['http/protobuf', 'http/json', 'grpc'];

/**
 * Returns where a process sends its spans or metrics; undefined if neither its keys nor the variables
 * of OpenTelemetry ask for it. Throws INVALID_REQUEST if they name what it cannot send to.
 */
export function otlpTarget(
  signal: OtlpSignal,
  options: OtlpOptions,
  env: Environment,
): OtlpTarget | undefined {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return undefined;
  const { url, protocol } = chosen(signal, options);
  if (url !== undefined) checkUrl(signal, url);
  else if (!isWanted(signal, env)) return undefined;
  return { url, protocol: protocol ?? protocolIn(signal, env) };
}

/** What the keys say of a target. */
interface ChosenTarget {
  readonly url: string | undefined;
  readonly protocol: OtlpProtocol | undefined;
}

/** Names the collector for people. */
export function targetName({ url, protocol }: OtlpTarget): string {
  const name = url === undefined ? 'the collector that OTEL_* variables name' : publicPart(url);
  return `${name} by ${protocol}`;
}

/** Returns a URL without what may be a secret: user, password and query. */
function publicPart(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

function chosen(signal: OtlpSignal, options: OtlpOptions): ChosenTarget {
  return signal === 'traces'
    ? { url: options.otlpTracesEndpoint, protocol: options.otlpTracesProtocol }
    : { url: options.otlpMetricsEndpoint, protocol: options.otlpMetricsProtocol };
}

/** Tells whether the variables ask for a signal, by its exporter or by a collector. */
function isWanted(signal: OtlpSignal, env: Environment): boolean {
  const name = `OTEL_${signal.toUpperCase()}_EXPORTER`;
  const exporter = env[name] ?? '';
  if (exporter === 'otlp') return true;
  if (exporter === 'none') return false;
  if (exporter !== '')
    throw refused(`the variable ${name}`, `must be otlp or none, got ${exporter}`);
  return Boolean(env[variable(signal, 'ENDPOINT')] || env['OTEL_EXPORTER_OTLP_ENDPOINT']);
}

function protocolIn(signal: OtlpSignal, env: Environment): OtlpProtocol {
  for (const name of [variable(signal, 'PROTOCOL'), 'OTEL_EXPORTER_OTLP_PROTOCOL']) {
    const said = env[name] ?? '';
    if (said === '') continue;
    const known = PROTOCOLS.find((one) => one === said);
    if (known !== undefined) return known;
    throw refused(`the variable ${name}`, `must be one of ${PROTOCOLS.join(', ')}, got ${said}`);
  }
  return 'http/protobuf';
}

function variable(signal: OtlpSignal, what: string): string {
  return `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${what}`;
}

function checkUrl(signal: OtlpSignal, url: string): void {
  const isHttp = URL.canParse(url) && ['http:', 'https:'].includes(new URL(url).protocol);
  if (isHttp) return;
  // It may hold a password, so the message repeats none of it.
  throw refused(
    `key "otlp-${signal}-endpoint"`,
    'must be an http or https URL, such as http://collector:4318',
  );
}

function refused(what: string, rule: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${what}: ${rule}`);
}
