import type { GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';

/** The request to the mesh for one prompt, without media, which are added when they are loaded. */
export type RequestedStart = Pick<
  GenerateStart,
  | 'prompt'
  | 'sampling'
  | 'output'
  | 'priority'
  | 'cacheSalt'
  | 'structuredOutput'
  | 'toolChoice'
  | 'embedding'
>;
