import type { Channel, Client } from 'nice-grpc';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { InstanceServiceDefinition } from '#protos/autoglm/mesh/v1/instance.ts';

/** A process that no request goes to, asked only for its metrics: an encoder. */
export class ScrapedInstance {
  readonly address: string;
  readonly instance: Client<typeof InstanceServiceDefinition>;
  readonly #channel: Channel;

  constructor(address: string) {
    this.address = address;
    this.#channel = openChannel(address, 'tokens');
    this.instance = createMeshClient(InstanceServiceDefinition, this.#channel);
  }

  close(): void {
    this.#channel.close();
  }
}
