import { encodeStages } from '#mesh/encode/encode-stages.ts';
import type { CallTrace } from '#mesh/trace/call-trace.ts';
import type { StageProcess } from '#mesh/trace/request-view.ts';
import { endStage, type Stage, traceOf } from '#mesh/trace/stages.ts';
import { traceHeaders } from '#mesh/trace/trace-context.ts';
import type { GatheredEmbedding } from './gather-embedding.ts';

/** A call to an encoder, as a stage of the call that the item came with. */
export interface EncodeStage {
  /** Metadata that names its place in the trace; undefined: none. */
  readonly headers: Readonly<Record<string, string>> | undefined;
  answered(answer: Pick<GatheredEmbedding, 'cacheHit' | 'done'>): void;
  failed(reason: string): void;
}

/** The encoders that are asked for one item. */
export class AskedEncoders {
  readonly #call: CallTrace;
  readonly #role: StageProcess;
  #last: Stage | undefined;

  constructor(call: CallTrace, role: StageProcess) {
    this.#call = call;
    this.#role = role;
  }

  /** Notes that an encoder is asked: the first one, another after a failure, or one beside it. */
  begin(address: string, { isHedge = false }: { readonly isHedge?: boolean }): EncodeStage {
    const { stages, trace } = this.#call;
    const follows = this.#last;
    const again = isHedge ? 'hedge' : 'retry';
    const cause = follows && again;
    const stage = stages.begin({ name: 'encode', spanName: 'Encode', address, cause, follows });
    this.#last = stage;
    return {
      headers: traceHeaders(traceOf(stage, trace)),
      answered: ({ cacheHit, done }) => {
        endStage(stage);
        stage.attributes = {
          'rpc.system': 'grpc',
          'autoglm.encoder': this.#role,
          'autoglm.cache_hit': cacheHit,
        };
        if (done !== undefined)
          stages.addTold(encodeStages(done, this.#role, lengthOf(stage)), stage);
      },
      failed: (reason) => endStage(stage, reason),
    };
  }
}

function lengthOf({ startMs, endMs = startMs }: Stage): number {
  return endMs - startMs;
}
