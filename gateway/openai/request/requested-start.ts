import type { GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';

/** What a request asks of the mesh for one prompt, whose media join once they are loaded. */
export type RequestedStart = Pick<GenerateStart, 'prompt' | 'sampling' | 'output' | 'priority'>;
