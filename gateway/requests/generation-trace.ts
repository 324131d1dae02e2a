import type {
  AskedBackbone,
  AttemptTrace,
  GenerationAttempts,
} from '#gateway/routing/attempt-trace.ts';
import type { ModelRoute } from '#gateway/routing/model-route.ts';
import { reasonOf } from '#mesh/errors.ts';
import { endStage, type Stage, traceOf } from '#mesh/trace/stages.ts';
import { traceHeaders } from '#mesh/trace/trace-context.ts';
import type { Finished } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { factsOf, type RequestRecord } from './request-record.ts';
import { modelAttributes, operationOf, tokenAttributes } from './request-span.ts';

/** Notes the backbones that are asked for one generation as stages of its request. */
export class GenerationTrace implements GenerationAttempts {
  readonly #record: RequestRecord;
  readonly #route: ModelRoute;
  #stage: Stage | undefined;

  constructor(record: RequestRecord, route: ModelRoute) {
    this.#record = record;
    this.#route = route;
  }

  asked({ address, cause }: AskedBackbone): AttemptTrace {
    const record = this.#record;
    const { name } = this.#route;
    const spanName = `${operationOf(record.begun.route) ?? 'generate'} ${name}`;
    const follows = this.#stage;
    const stage = record.begin({ name: 'generate', spanName, address, cause, follows });
    stage.attributes = { 'rpc.system': 'grpc', ...modelAttributes(record, name) };
    this.#stage = stage;
    record.endpoint = address;
    if (cause === 'retry') record.numRetries += 1;
    if (cause === 'resume') record.numResumes += 1;
    return {
      headers: traceHeaders(traceOf(stage, record.begun.trace)),
      ended: (error) => {
        endStage(stage, error === undefined ? undefined : reasonOf(error));
      },
    };
  }

  finished(finished: Finished): void {
    const facts = factsOf(finished);
    this.#record.answered(facts);
    const stage = this.#stage;
    if (stage === undefined) return;
    stage.attributes = Object.assign({}, stage.attributes, tokenAttributes(facts));
    this.#record.stages.addTold(finished.stages, stage);
  }
}

/** Loads the media of a request, if it has any, as a stage of it. */
export async function inStage<Result>(
  record: RequestRecord | undefined,
  numItems: number,
  load: () => Promise<Result>,
): Promise<Result> {
  if (record === undefined || numItems === 0) return await load();
  const stage = record.begin({ name: 'media fetch' });
  stage.attributes = { 'autoglm.media.items': numItems };
  try {
    const loaded = await load();
    endStage(stage);
    return loaded;
  } catch (error: unknown) {
    endStage(stage, reasonOf(error));
    throw error;
  }
}
