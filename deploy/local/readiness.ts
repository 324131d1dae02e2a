import { setTimeout as delay } from 'node:timers/promises';
import { MeshError } from '#mesh/errors.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import type { OptionValues } from '#mesh/options.ts';
import { InstanceServiceDefinition } from '#protos/autoglm/mesh/v1/instance.ts';

const POLL_MS = 100;
const ANSWER_LIMIT_MS = 2000;

/** Returns the base URL under which this machine reaches the gateway. */
export function gatewayUrl(values: OptionValues): string {
  const host = String(values['host']);
  const reachable = host === '0.0.0.0' || host === '' ? '127.0.0.1' : host === '::' ? '::1' : host;
  const literal = reachable.includes(':') ? `[${reachable}]` : reachable;
  return `http://${literal}:${String(values['port'])}`;
}

/** Resolves when the gateway reports that the mesh can generate. */
export async function waitUntilReady(url: string, signal: AbortSignal): Promise<void> {
  while (!(await isReady(url, signal))) await delay(POLL_MS, undefined, { signal });
}

async function isReady(url: string, signal: AbortSignal): Promise<boolean> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_LIMIT_MS)]);
  try {
    const answer = await fetch(`${url}/health`, { signal: limit });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

/** Resolves when the backbone at `address` can ask `numEncoders` encoders. */
export async function waitUntilEncodersReady(
  address: string,
  { numEncoders, signal }: { readonly numEncoders: number; readonly signal: AbortSignal },
): Promise<void> {
  const channel = openChannel(address, 'tokens');
  const instance = createMeshClient(InstanceServiceDefinition, channel);
  try {
    for await (const { encoders } of instance.watch({}, { signal })) {
      const numReady = encoders.reduce((sum, one) => sum + one.numReady, 0);
      if (numReady >= numEncoders) return;
    }
    throw new MeshError('NO_READY_ENDPOINT', 'the backbone ended before its encoders were ready');
  } finally {
    channel.close();
  }
}

/** Returns a line that a user can copy to see the mesh answer. */
export function curlLine(url: string, needsKey: boolean): string {
  const key = needsKey ? ' -H "Authorization: Bearer $AUTOGLM_API_KEY"' : '';
  const body = '{"messages":[{"role":"user","content":"你是谁?"}]}';
  return `curl ${url}/v1/chat/completions -H 'Content-Type: application/json'${key} -d '${body}'`;
}
