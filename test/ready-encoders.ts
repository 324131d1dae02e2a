import type { Channel } from 'nice-grpc';
import { createMeshClient } from '#mesh/grpc/grpc-client.ts';
import { InstanceServiceDefinition } from '#protos/autoglm/mesh/v1/instance.ts';

/** Waits until a backbone counts `count` ready encoders of all modalities together. */
export async function readyEncoders(channel: Channel, count: number): Promise<void> {
  for await (const { encoders } of createMeshClient(InstanceServiceDefinition, channel).watch({})) {
    if (encoders.reduce((sum, { numReady }) => sum + numReady, 0) === count) return;
  }
}
