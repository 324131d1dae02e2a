import type { CallContext } from 'nice-grpc-common';
import { checkModelName, readArrival } from '#backbone/request/admission.ts';
import { readText, readTokens } from '#backbone/request/tokenize-request.ts';
import type { Log } from '#mesh/log/log.ts';
import { logFailure } from '#mesh/log/log-failure.ts';
import type { Served } from '#mesh/process/process-shell.ts';
import type {
  DetokenizeRequest,
  DetokenizeResponse,
  GenerateRequest,
  GenerateResponse,
  GetModelResponse,
  LlmBackboneServiceImplementation,
  TokenizeRequest,
  TokenizeResponse,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { ServedModel } from './served-model.ts';

/**
 * Answers the backbone's gRPC calls. A call belongs to the model that is current when it begins.
 */
export class BackboneService implements LlmBackboneServiceImplementation, Served {
  current: ServedModel;
  readonly #log: Log;

  constructor(model: ServedModel, log: Log) {
    this.current = model;
    this.#log = log;
  }

  async *generate(
    requests: AsyncIterable<GenerateRequest>,
    { signal }: Pick<CallContext, 'signal'>,
  ): AsyncGenerator<GenerateResponse> {
    const arrival = await readArrival(requests, { signal });
    const request = await this.current.admit(arrival);
    try {
      yield* request.responses.read(signal);
    } catch (error: unknown) {
      const { requestId } = arrival;
      if (!signal.aborted) logFailure(this.#log, { what: 'request', requestId }, error);
      throw error;
    } finally {
      request.leave();
    }
  }

  async tokenize({ model, prompt }: TokenizeRequest): Promise<TokenizeResponse> {
    const { description, reader } = this.current;
    checkModelName(model, description);
    return readTokens(prompt, reader);
  }

  async detokenize({ model, tokenIds }: DetokenizeRequest): Promise<DetokenizeResponse> {
    const { description, reader } = this.current;
    checkModelName(model, description);
    return { text: readText(tokenIds, reader) };
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
