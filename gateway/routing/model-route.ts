import type { GetModelResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { BackbonePeer } from './backbone-peer.ts';

/**
 * The destination of a request: the model that its name stands for, and the endpoint picked for it.
 */
export class ModelRoute {
  /** Name of the model in use. */
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

  /** Returns the endpoint once, for the first call; further calls of the request pick their own. */
  takeEndpoint(): BackbonePeer | undefined {
    const endpoint = this.#endpoint;
    this.#endpoint = undefined;
    return endpoint;
  }
}
