import type { Channel, Client } from 'nice-grpc';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { watchHealth } from '#mesh/grpc/health-watch.ts';
import type { Log } from '#mesh/log/log.ts';
import {
  type GetModelResponse,
  LlmBackboneServiceDefinition,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { InstanceServiceDefinition } from '#protos/autoglm/mesh/v1/instance.ts';
import { GenerateCaller } from './generate-call.ts';
import type { EndpointView } from './pick.ts';

/** One backbone address: its clients, whether it is ready, what it serves, how busy it is. */
export class Endpoint implements EndpointView {
  readonly address: string;
  readonly backbone: Client<typeof LlmBackboneServiceDefinition>;
  readonly generation: GenerateCaller;
  readonly instance: Client<typeof InstanceServiceDefinition>;
  numOutstanding = 0;
  readonly #channel: Channel;
  readonly #log: Log;
  readonly #closing = new AbortController();
  readonly #watching: Promise<void>;
  #isReady = false;
  #model: GetModelResponse | undefined;

  constructor(address: string, log: Log) {
    this.address = address;
    this.#log = log;
    this.#channel = openChannel(address, 'tokens');
    this.backbone = createMeshClient(LlmBackboneServiceDefinition, this.#channel);
    this.generation = new GenerateCaller(address, this.#channel);
    this.instance = createMeshClient(InstanceServiceDefinition, this.#channel);
    this.#watching = watchHealth(this.#channel, {
      onHealth: (isServing) => this.#onHealth(isServing),
      onBroken: (err) => this.#log.debug({ err, address }, 'health watch ended'),
      signal: this.#closing.signal,
    });
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** The last model it reported; kept while it is away, so that its name stays known. */
  get model(): GetModelResponse | undefined {
    return this.#model;
  }

  get servedNames(): readonly string[] {
    return this.#model?.servedNames ?? [];
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#watching;
    this.#channel.close();
  }

  async #onHealth(isServing: boolean): Promise<void> {
    const { signal } = this.#closing;
    if (isServing) this.#model = await this.backbone.getModel({}, { signal });
    this.#setReady(isServing);
  }

  #setReady(isReady: boolean): void {
    if (this.#isReady === isReady) return;
    this.#isReady = isReady;
    if (isReady) this.#log.info(`backbone ${this.address} is ready (${this.servedNames[0]})`);
    else if (!this.#closing.signal.aborted) this.#log.warn(`backbone ${this.address} is not ready`);
  }
}
