import type { GenerateEvent } from '#gateway/routing/generate-call.ts';
import type { GetModelResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';

/** An answer that is there without being computed. */
export interface Reply {
  /** Name and facts of what the answer says it is from. */
  readonly name: string;
  readonly model: GetModelResponse;
  /** Events of each prompt of the request, as a backbone would send them. */
  readonly events: readonly (readonly GenerateEvent[])[];
}
