import { RetryBudget } from '#mesh/balance/retry-budget.ts';
import { quoted } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import { Attempts } from '#mesh/peers/attempts.ts';
import type { Patience } from '#mesh/peers/patience.ts';
import type { PeerSet } from '#mesh/peers/peer-set.ts';
import { soonest } from '#mesh/peers/recovery.ts';
import type { GetModelResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { GenerationAttempts } from './attempt-trace.ts';
import { type BackboneCalls, type BackbonePeer, giveSameBits } from './backbone-peer.ts';
import type { Balancing } from './balancing.ts';
import { Delivery } from './delivery.ts';
import type { GenerateEvent, GenerateUpload, TakeEvent } from './generate-call.ts';
import type { ModelRoute } from './model-route.ts';
import { profileOf, type RequestProfile } from './request-profile.ts';
import { findModel, knownModels, serves } from './served-models.ts';

type BackboneSet = Pick<PeerSet<BackbonePeer>, 'peers' | 'changes' | 'close'>;

export interface RouterOptions {
  /** Most endpoints tried in a row for one request without a token. */
  readonly maxAttempts: number;
  /** Most endpoints that may be lost while they answer one request. */
  readonly maxLosses: number;
  /** Lets an answer go on at an endpoint whose bits may differ. */
  readonly resumesAcrossNumerics: boolean;
  readonly balancing: Balancing;
  /** Called when a request is sent to another endpoint before its first token. */
  readonly onRetry: (reason: MeshError['reason']) => void;
  /** Lets requests wait for an endpoint that is being started again. */
  readonly patience: Patience;
}

export interface GenerateOptions {
  readonly signal: AbortSignal;
  /** A failure of it ends the generation and is thrown. */
  readonly take: TakeEvent;
  /**
   * Called when another endpoint goes on with a begun answer; `isExact` tells whether it gives the
   * same bits.
   */
  readonly onResume?: (resume: { readonly isExact: boolean }) => void;
  /** Is told which backbones are asked; unset: nobody is. */
  readonly attempts?: GenerationAttempts | undefined;
}

/**
 * Sends requests to endpoints. If an endpoint fails, another one answers, or goes on with the answer.
 */
export class Router {
  readonly #set: BackboneSet;
  readonly #options: RouterOptions;
  readonly #budget = new RetryBudget();
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

  /**
   * Finds the model that a request names, or the default. While the model's endpoints are away and
   * one is expected soon, the request waits for one when it is sent.
   */
  resolve(wanted: string | undefined): ModelRoute {
    const found = findModel(this.endpoints, wanted);
    if (found.kind === 'unknown') throw unknownModel(wanted ?? '', found.known);
    if (found.kind === 'none known') throw noReadyEndpoint(undefined);
    const { name } = found;
    const serving = this.#serving(name);
    const expectedMs = soonest(serving);
    const ready = serving.filter(({ isReady }) => isReady);
    const away = this.#options.patience.allows(expectedMs) ? serving[0] : undefined;
    // Endpoints whose weights differ get requests in turn.
    const model = (ready[this.#turn++ % ready.length] ?? away)?.model;
    if (model === undefined) throw noReadyEndpoint(expectedMs);
    return { name, model };
  }

  #serving(name: string): BackbonePeer[] {
    return this.endpoints.filter((one) => serves(one, name));
  }

  /** Returns when an endpoint of a model is expected back; undefined if none is. */
  #expectedMs(name: string): number | undefined {
    return soonest(this.#serving(name));
  }

  /** Calls a unary method; asks another endpoint if that may help. */
  async call<Result>(
    route: ModelRoute,
    method: (calls: BackboneCalls, signal: AbortSignal) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    const attempts = this.#attempts(route, { signal, profile: UNARY });
    for await (const attempt of attempts) {
      try {
        return await method(attempt.peer.calls, attempt.signal);
      } catch (error: unknown) {
        attempt.fail(error);
      }
    }
    throw attempts.failure ?? noReadyEndpoint(this.#expectedMs(route.name));
  }

  /**
   * Runs a generation; resolves when its answer is whole. If its backbone is lost, another one goes
   * on behind the last token that was taken; each kind of announcement is passed on once.
   */
  async generate(
    { start, media }: GenerateUpload,
    route: ModelRoute,
    { signal, take, onResume, attempts: observer }: GenerateOptions,
  ): Promise<void> {
    const delivery = new Delivery(take);
    /** What the endpoint that gave the first token told of itself then. */
    let source: BackbonePeer['facts'];
    const { resumesAcrossNumerics } = this.#options;
    const allows = (one: BackbonePeer) =>
      !delivery.hasTokens || resumesAcrossNumerics || giveSameBits(one.facts, source);
    const attempts = this.#attempts(route, {
      signal,
      profile: profileOf(start),
      allows,
      isResume: () => delivery.hasTokens,
    });
    for await (const attempt of attempts) {
      const { peer, progress } = attempt;
      if (delivery.hasTokens) onResume?.({ isExact: giveSameBits(peer.facts, source) });
      else source = peer.facts;
      const cause = delivery.hasTokens ? 'resume' : attempts.failure && 'retry';
      const asked = observer?.asked({ address: peer.address, cause });
      const upload = { start: { ...start, resume: delivery.resume }, media };
      const pass = (event: GenerateEvent) => {
        if (event.$case === 'delta') progress();
        if (event.$case === 'finished') asked?.ended();
        return delivery.pass(event);
      };
      const call = { signal: attempt.signal, headers: asked?.headers, take: pass };
      try {
        await peer.calls.generation.generate(upload, call);
        if (delivery.isFinished) return;
        throw new MeshError('ENGINE_FAILED', 'the backbone ended the answer before its end');
      } catch (error: unknown) {
        delivery.throwIfRefused();
        asked?.ended(attempt.turn.whyFailed(error));
        attempt.fail(error);
      }
    }
    throw attempts.failure ?? noReadyEndpoint(this.#expectedMs(route.name));
  }

  close(): Promise<void> {
    this.#options.balancing.close();
    return this.#set.close();
  }

  #attempts(
    { name, model }: ModelRoute,
    { signal, profile, allows = () => true, isResume = () => false }: AttemptWish,
  ): Attempts<BackbonePeer> {
    const { balancing } = this.#options;
    const pick = (candidates: readonly BackbonePeer[]) => {
      // What the answer says of its model is said already.
      const same = candidates.filter((one) => one.model?.fingerprint === model.fingerprint);
      return balancing.pick(same.length > 0 ? same : candidates, this.#serving(name), profile);
    };
    return new Attempts(this.#set, pick, {
      signal,
      who: 'the backbone',
      work: profile.work,
      budget: this.#budget,
      observer: balancing,
      allows: (one) => serves(one, name) && allows(one),
      expectedMs: () => this.#expectedMs(name),
      ...this.#options,
      onRetry: (reason) => {
        if (!isResume()) this.#options.onRetry(reason);
      },
    });
  }
}

/** A call whose work is small and the same everywhere. */
const UNARY: RequestProfile = { work: 1, affinity: undefined };

interface AttemptWish {
  readonly signal: AbortSignal;
  readonly profile: RequestProfile;
  /** Tells whether an endpoint of the model may be asked; unset: all may. */
  readonly allows?: (endpoint: BackbonePeer) => boolean;
  /** Tells whether a next attempt goes on with an answer that has begun, which is no retry; unset: none does. */
  readonly isResume?: () => boolean;
}

export function unknownModel(model: string, known: readonly string[]): MeshError {
  const message = `model ${quoted(model)} does not exist; this server has ${known.join(', ')}`;
  return new MeshError('MODEL_NOT_FOUND', message, { param: 'model' });
}

function noReadyEndpoint(expectedMs: number | undefined): MeshError {
  const details = expectedMs === undefined ? {} : { retryAfterMs: expectedMs };
  return new MeshError('NO_READY_ENDPOINT', 'no llm-backbone is ready; try again shortly', details);
}
