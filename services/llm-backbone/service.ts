import type { CallContext } from 'nice-grpc-common';
import {
  type Arrival,
  checkModelName,
  failedRequest,
  readArrival,
} from '#backbone/request/admission.ts';
import { readText, readTokens } from '#backbone/request/tokenize-request.ts';
import { reasonOf } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { logFailure } from '#mesh/log/log-failure.ts';
import type { Served } from '#mesh/process/process-shell.ts';
import { CallTrace } from '#mesh/trace/call-trace.ts';
import type { Tracing } from '#mesh/trace/tracing.ts';
import {
  type DetokenizeRequest,
  type DetokenizeResponse,
  type GenerateRequest,
  type GenerateResponse,
  type GetModelResponse,
  LlmBackboneServiceDefinition,
  type LlmBackboneServiceImplementation,
  type TokenizeRequest,
  type TokenizeResponse,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { ServedModel } from './served-model.ts';

/** What a call of Generate brings; a caller without metadata is not traced. */
type GenerateContext = Pick<CallContext, 'signal' | 'peer'> &
  Partial<Pick<CallContext, 'metadata'>>;

/**
 * Answers the backbone's gRPC calls. A call belongs to the model that is current when it begins.
 */
export class BackboneService implements LlmBackboneServiceImplementation, Served {
  current: ServedModel;
  readonly #log: Log;
  readonly #tracing: Tracing | undefined;

  /** `tracing` takes the spans of calls; undefined: nothing does. */
  constructor(model: ServedModel, log: Log, tracing?: Tracing) {
    this.current = model;
    this.#log = log;
    this.#tracing = tracing;
  }

  async *generate(
    requests: AsyncIterable<GenerateRequest>,
    { signal, peer, metadata }: GenerateContext,
  ): AsyncGenerator<GenerateResponse> {
    const call = new CallTrace('llm-backbone', metadata);
    let failure: unknown;
    try {
      const arrival = await readArrival(requests, { signal, peer, call });
      yield* this.#answer(arrival);
    } catch (error: unknown) {
      failure = error;
      throw error;
    } finally {
      this.#endCall(call, failure, signal);
    }
  }

  async *#answer(arrival: Arrival): AsyncGenerator<GenerateResponse> {
    const { signal, send } = arrival;
    const request = await this.current.admit(arrival);
    try {
      if (send === undefined) yield* request.responses.read(signal);
      else await request.responses.sendAll(send, signal);
    } catch (error: unknown) {
      if (!signal.aborted) logFailure(this.#log, failedRequest(arrival), error);
      throw error;
    } finally {
      request.leave();
    }
  }

  #endCall(call: CallTrace, failure: unknown, { aborted }: AbortSignal): void {
    if (this.#tracing === undefined) return;
    const [model] = this.current.description.servedNames;
    call.end(this.#tracing, {
      name: 'Generate',
      error: aborted ? 'CANCELLED' : failure === undefined ? undefined : reasonOf(failure),
      attributes: {
        'rpc.system': 'grpc',
        'rpc.service': LlmBackboneServiceDefinition.fullName,
        'rpc.method': LlmBackboneServiceDefinition.methods.generate.name,
        'gen_ai.request.model': model,
      },
    });
  }

  async tokenize(
    request: TokenizeRequest,
    { signal }: Pick<CallContext, 'signal'>,
  ): Promise<TokenizeResponse> {
    const { description, reader } = this.current;
    checkModelName(request.model, description);
    return readTokens(request, reader, signal);
  }

  async detokenize({ model, tokenIds }: DetokenizeRequest): Promise<DetokenizeResponse> {
    const { description, reader } = this.current;
    checkModelName(model, description);
    return { text: await readText(tokenIds, reader) };
  }

  async getModel(): Promise<GetModelResponse> {
    return this.current.description;
  }

  drain(graceMs: number): Promise<void> {
    return this.current.drain(graceMs);
  }

  close(): Promise<void> {
    return this.current.close();
  }
}
