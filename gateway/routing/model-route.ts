import type { GetModelResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { BackbonePeer } from './backbone-peer.ts';

/** Where a request goes: the model that its name stands for, at the endpoint picked for it. */
export class ModelRoute {
  /** Name in use. */
  readonly name: string;
  readonly model: GetModelResponse;
  #endpoint: BackbonePeer | undefined;

  constructor(
    name: string,
    picked: { readonly endpoint?: BackbonePeer; readonly model: GetModelResponse },
  ) {
    this.name = name;
    this.model = picked.model;
    this.#endpoint = picked.endpoint;
  }

  /** The endpoint, for the first call only: further calls of the request spread. */
  takeEndpoint(): BackbonePeer | undefined {
    const endpoint = this.#endpoint;
    this.#endpoint = undefined;
    return endpoint;
  }
}
