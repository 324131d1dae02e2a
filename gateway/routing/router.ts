import { quoted } from '#mesh/client-text.ts';
import { ERRORS, MeshError } from '#mesh/errors.ts';
import type { GetModelResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { Endpoint } from './endpoint.ts';
import type { GenerateEvent, GenerateUpload } from './generate-call.ts';
import { knownModels, type PickWish, pickEndpoint } from './pick.ts';

export interface RouterOptions {
  /** Most endpoints tried for one request before its first token. */
  readonly maxAttempts: number;
  readonly onRetry: (reason: MeshError['reason']) => void;
}

/** Sends requests to endpoints, and elsewhere when one fails before it has produced output. */
export class Router {
  readonly endpoints: readonly Endpoint[];
  readonly #options: RouterOptions;
  #turn = 0;

  constructor(endpoints: readonly Endpoint[], options: RouterOptions) {
    this.endpoints = endpoints;
    this.#options = options;
  }

  /** Every model known, by the names requests may use, in configuration order. */
  models(): { readonly name: string; readonly model: GetModelResponse }[] {
    return knownModels(this.endpoints).flatMap((name) => {
      const model = this.#find(name)?.model;
      return model === undefined ? [] : [{ name, model }];
    });
  }

  /** Resolves a request's model name, or the default, to the name in use and the model. */
  resolve(name: string | undefined): { readonly name: string; readonly model: GetModelResponse } {
    const { model } = this.#pick({ model: name, tried: new Set(), turn: 0 });
    const inUse = name ?? knownModels(this.endpoints)[0];
    if (model === undefined || inUse === undefined) throw noReadyEndpoint();
    return { name: inUse, model };
  }

  /** Calls a unary method, elsewhere again when that may help. */
  async call<Result>(
    model: string,
    method: (endpoint: Endpoint) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    const attempts = this.#attempts(model);
    for (;;) {
      const endpoint = attempts.next();
      try {
        return await method(endpoint);
      } catch (error: unknown) {
        attempts.fail(meshErrorOf(error, signal));
      }
    }
  }

  /** Runs a generation. Its announcements come once, whatever the number of attempts. */
  async *generate(upload: GenerateUpload, signal: AbortSignal): AsyncGenerator<GenerateEvent> {
    const attempts = this.#attempts(upload.start.model);
    const announced = new Set<GenerateEvent['$case']>();
    for (;;) {
      const endpoint = attempts.next();
      let hasOutput = false;
      endpoint.numOutstanding += 1;
      try {
        for await (const { event } of endpoint.generation.generate(upload, signal)) {
          if (event === undefined || announced.has(event.$case)) continue;
          if (event.$case === 'delta') hasOutput = true;
          else announced.add(event.$case);
          yield event;
        }
        if (announced.has('finished')) return;
        throw new MeshError('ENGINE_FAILED', 'the backbone ended the answer before its end');
      } catch (error: unknown) {
        const failure = meshErrorOf(error, signal);
        if (hasOutput) throw failure;
        attempts.fail(failure);
      } finally {
        endpoint.numOutstanding -= 1;
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.endpoints.map((endpoint) => endpoint.close()));
  }

  #find(name: string): Endpoint | undefined {
    const serving = this.endpoints.filter((endpoint) => endpoint.servedNames.includes(name));
    return serving.find((endpoint) => endpoint.isReady) ?? serving[0];
  }

  #attempts(model: string) {
    const tried = new Set<Endpoint>();
    let failure: MeshError | undefined;
    return {
      /** The next endpoint to try; where none is left, throws what the last one failed with. */
      next: (): Endpoint => {
        try {
          const endpoint = this.#pick({ model, tried, turn: this.#turn++ });
          tried.add(endpoint);
          if (failure !== undefined) this.#options.onRetry(failure.reason);
          return endpoint;
        } catch (error: unknown) {
          throw failure ?? error;
        }
      },
      /** Notes a failure, or throws it where trying elsewhere cannot help. */
      fail: (error: MeshError): void => {
        const { retryElsewhere } = ERRORS[error.reason];
        if (!retryElsewhere || tried.size >= this.#options.maxAttempts) throw error;
        failure = error;
      },
    };
  }

  #pick(wish: PickWish<Endpoint>): Endpoint {
    const pick = pickEndpoint(this.endpoints, wish);
    switch (pick.kind) {
      case 'picked':
        return pick.endpoint;
      case 'unknown_model':
        throw unknownModel(wish.model ?? '', pick.known);
      case 'none_ready':
        throw noReadyEndpoint();
    }
  }
}

/** The signal's reason when it was aborted, the peer's error otherwise. */
function meshErrorOf(error: unknown, signal: AbortSignal): MeshError {
  const cause: unknown = signal.aborted ? signal.reason : error;
  if (!(cause instanceof MeshError)) throw cause;
  if (signal.aborted || cause.reason !== 'CANCELLED') return cause;
  // Nobody here cancelled: the peer was ended with the call still running.
  return new MeshError('NO_READY_ENDPOINT', 'the backbone ended the call', { cause });
}

export function unknownModel(model: string, known: readonly string[]): MeshError {
  const message = `model ${quoted(model)} does not exist; this server has ${known.join(', ')}`;
  return new MeshError('MODEL_NOT_FOUND', message, { param: 'model' });
}

function noReadyEndpoint(): MeshError {
  return new MeshError('NO_READY_ENDPOINT', 'no llm-backbone is ready; try again shortly');
}
