import type { Channel } from 'nice-grpc';
import { createMeshClient } from '#mesh/grpc/grpc-client.ts';
import { InstanceServiceDefinition } from '#protos/autoglm/mesh/v1/instance.ts';

/** Waits until a backbone counts so many ready encoders, of all modalities together. */
export async function readyEncoders(channel: Channel, count: number): Promise<void> {
  const instance = createMeshClient(InstanceServiceDefinition, channel);
  for (;;) {
    const { families } = await instance.getMetrics({});
    const gauge = families.find(({ name }) => name === 'encoder_endpoints_ready');
    const numReady = gauge?.samples.reduce((sum, { value }) => sum + value, 0) ?? 0;
    if (numReady === count) return;
  }
}
