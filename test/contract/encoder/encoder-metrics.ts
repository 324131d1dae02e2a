import type { TestContext } from 'node:test';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { InstanceServiceDefinition } from '#protos/autoglm/mesh/v1/instance.ts';
import type { RunningEncoder } from './harness.ts';

/** Returns what reads the metrics of an encoder as they are at this moment. */
export async function metricsOf({ process }: Pick<RunningEncoder, 'process'>, test: TestContext) {
  const channel = openChannel(process.address, 'tokens');
  test.after(() => channel.close());
  const { families } = await createMeshClient(InstanceServiceDefinition, channel).getMetrics({});
  return (name: string, labels: object = {}) =>
    families
      .find((family) => family.name === name)
      ?.samples.find((sample) => JSON.stringify(sample.labels) === JSON.stringify(labels))?.value;
}
