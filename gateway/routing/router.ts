import { quoted } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import { Attempts } from '#mesh/peers/attempts.ts';
import type { PeerSet } from '#mesh/peers/peer-set.ts';
import type { GetModelResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { BackboneCalls, BackbonePeer } from './backbone-peer.ts';
import type { GenerateEvent, GenerateUpload } from './generate-call.ts';
import { ModelRoute } from './model-route.ts';
import { findModel, knownModels, pickEndpoint, serves } from './pick.ts';

type BackboneSet = Pick<PeerSet<BackbonePeer>, 'peers' | 'close'>;

export interface RouterOptions {
  /** Most endpoints tried for one request before its first token. */
  readonly maxAttempts: number;
  readonly onRetry: (reason: MeshError['reason']) => void;
}

/**
 * Sends requests to endpoints; tries another one if an endpoint fails before it has produced
 * output.
 */
export class Router {
  readonly #set: BackboneSet;
  readonly #options: RouterOptions;
  #turn = 0;

  constructor(set: BackboneSet, options: RouterOptions) {
    this.#set = set;
    this.#options = options;
  }

  get endpoints(): readonly BackbonePeer[] {
    return this.#set.peers;
  }

  /** Returns every known model, by the names that requests may use, in configuration order. */
  models(): { readonly name: string; readonly model: GetModelResponse }[] {
    return knownModels(this.endpoints).flatMap((name) => {
      const serving = this.endpoints.filter((endpoint) => serves(endpoint, name));
      const { model } = serving.find(({ isReady }) => isReady) ?? serving[0] ?? {};
      return model === undefined ? [] : [{ name, model }];
    });
  }

  /** Picks the endpoint of a request by the model it names, or by the default. */
  resolve(wanted: string | undefined): ModelRoute {
    const found = findModel(this.endpoints, wanted);
    if (found.kind === 'unknown') throw unknownModel(wanted ?? '', found.known);
    if (found.kind === 'none known') throw noReadyEndpoint();
    const { name } = found;
    const ready = this.endpoints.filter(({ isReady }) => isReady);
    const endpoint = pickEndpoint(ready, { model: name, turn: this.#turn++ });
    if (endpoint?.model === undefined) throw noReadyEndpoint();
    return new ModelRoute(name, { endpoint, model: endpoint.model });
  }

  /** Calls a unary method; asks another endpoint if that may help. */
  async call<Result>(
    route: ModelRoute,
    method: (calls: BackboneCalls) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    const attempts = this.#attempts(route, signal);
    for (const attempt of attempts) {
      try {
        return await method(attempt.peer.calls);
      } catch (error: unknown) {
        attempt.fail(error);
      }
    }
    throw attempts.failure ?? noReadyEndpoint();
  }

  /**
   * Runs a generation. Each kind of announcement is yielded once, whatever the number of attempts.
   */
  async *generate(
    upload: GenerateUpload,
    route: ModelRoute,
    signal: AbortSignal,
  ): AsyncGenerator<GenerateEvent> {
    const attempts = this.#attempts(route, signal);
    const announced = new Set<GenerateEvent['$case']>();
    for (const attempt of attempts) {
      const { generation } = attempt.peer.calls;
      let hasOutput = false;
      try {
        for await (const { event } of generation.generate(upload, signal)) {
          if (event === undefined || announced.has(event.$case)) continue;
          if (event.$case === 'delta') hasOutput = true;
          else announced.add(event.$case);
          yield event;
        }
        if (announced.has('finished')) return;
        throw new MeshError('ENGINE_FAILED', 'the backbone ended the answer before its end');
      } catch (error: unknown) {
        attempt.fail(error, { hasOutput });
      }
    }
    throw attempts.failure ?? noReadyEndpoint();
  }

  close(): Promise<void> {
    return this.#set.close();
  }

  #attempts(route: ModelRoute, signal: AbortSignal): Attempts<BackbonePeer> {
    const first = route.takeEndpoint();
    const pick = (candidates: readonly BackbonePeer[]) =>
      candidates.find((one) => one === first) ??
      pickEndpoint(candidates, { model: route.name, turn: this.#turn++ });
    return new Attempts(this.#set, pick, { ...this.#options, signal, who: 'the backbone' });
  }
}

export function unknownModel(model: string, known: readonly string[]): MeshError {
  const message = `model ${quoted(model)} does not exist; this server has ${known.join(', ')}`;
  return new MeshError('MODEL_NOT_FOUND', message, { param: 'model' });
}

function noReadyEndpoint(): MeshError {
  return new MeshError('NO_READY_ENDPOINT', 'no llm-backbone is ready; try again shortly');
}
