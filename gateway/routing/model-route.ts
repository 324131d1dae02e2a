import type { GetModelResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';

/** The model that a request's name stands for. */
export interface ModelRoute {
  /** Name of the model in use. */
  readonly name: string;
  readonly model: GetModelResponse;
}
