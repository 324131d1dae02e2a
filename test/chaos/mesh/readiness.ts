import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { InstanceServiceDefinition, InstanceState } from '#protos/autoglm/mesh/v1/instance.ts';

/** Longest wait for one answer of a process about itself, ms. */
const STATUS_BOUND_MS = 1000;

/** Tells whether a backbone or an encoder declares itself ready. */
export async function isServiceReady(port: number): Promise<boolean> {
  const channel = openChannel(`127.0.0.1:${port}`, 'tokens');
  const client = createMeshClient(InstanceServiceDefinition, channel);
  const signal = AbortSignal.timeout(STATUS_BOUND_MS);
  try {
    const { state } = await client.getStatus({}, { signal });
    return state === InstanceState.INSTANCE_STATE_READY;
  } catch {
    return false;
  } finally {
    channel.close();
  }
}

/** Tells whether a gateway, or nginx for one, can answer requests. */
export function isGatewayReady(port: number): Promise<boolean> {
  return isWell(`http://127.0.0.1:${port}/readyz`);
}

/** Tells whether an etcd serves clients. */
export function isEtcdReady(port: number): Promise<boolean> {
  return isWell(`http://127.0.0.1:${port}/health`);
}

async function isWell(url: string): Promise<boolean> {
  const signal = AbortSignal.timeout(STATUS_BOUND_MS);
  const answer = await fetch(url, { signal }).catch(() => undefined);
  return answer?.ok ?? false;
}
