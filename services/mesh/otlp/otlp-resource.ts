// It loads OpenTelemetry, so it is imported only where something is sent.
import { resources } from '@opentelemetry/sdk-node';
import { INSTANCE_NAME, VERSION } from '#mesh/process/instance.ts';

/** Milliseconds that a process which ends gives its last message. */
const LAST_MESSAGE_MS = 1000;

/** Describes a process to a collector; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win. */
export function otlpResource(role: string): resources.Resource {
  const own = resources.resourceFromAttributes({
    'service.name': role,
    'service.namespace': 'autoglm-mesh',
    'service.version': VERSION,
    'service.instance.id': INSTANCE_NAME,
  });
  // The detector of processes would send command lines, which may hold keys.
  const said = resources.detectResources({ detectors: [resources.envDetector] });
  return resources.defaultResource().merge(own).merge(said);
}

/** Reads a number of a variable as OpenTelemetry does, which ignores what is none. */
export function numberIn(
  env: Readonly<Record<string, string | undefined>>,
  name: string,
): number | undefined {
  const number = Number(env[name] || Number.NaN);
  return number >= 0 ? number : undefined;
}

/** Waits for the last message of a process that ends, but not for long. */
export async function lastMessage(sent: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, LAST_MESSAGE_MS);
  });
  await Promise.race([sent, limit]);
  clearTimeout(timer);
}
