import type {
  Accepted,
  Finished,
  PromptLogprobs,
  Resume,
  TokenLogprob,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { GenerateEvent, TakeEvent } from './generate-call.ts';

/**
 * What of one generation has been passed on, so that another backbone can go on exactly there: its
 * announcements come once, and no token is lost or comes twice.
 */
export class Delivery {
  readonly #announced = new Set<GenerateEvent['$case']>();
  /** Those of the running call, which come in parts and are passed on together. */
  #promptLogprobs: TokenLogprob[] = [];
  /** Delivered token ids by choice index. */
  readonly #tokenIds = new Map<number, number[]>();
  readonly #take: TakeEvent;
  #accepted: Accepted | undefined;
  #refusal: { readonly error: unknown } | undefined;

  constructor(take: TakeEvent) {
    this.#take = take;
  }

  /** Whether a token has been delivered. */
  get hasTokens(): boolean {
    return this.#tokenIds.size > 0;
  }

  get isFinished(): boolean {
    return this.#announced.has('finished');
  }

  /** The state to resume from; undefined if nothing was announced. */
  get resume(): Resume | undefined {
    if (this.#accepted === undefined) return undefined;
    const byIndex = [...this.#tokenIds].sort(([a], [b]) => a - b);
    return {
      seed: this.#accepted.seed,
      choices: byIndex.map(([index, tokenIds]) => ({ index, tokenIds })),
    };
  }

  /** Passes an event on, unless it is an announcement whose like has been passed on before. */
  pass(event: GenerateEvent): Promise<void> | undefined {
    const passed = this.#note(event);
    if (passed === undefined) return undefined;
    try {
      return this.#take(passed)?.catch((error: unknown) => this.#refused(error));
    } catch (error: unknown) {
      return this.#refused(error);
    }
  }

  /** Throws what the taker of the events has failed with, for which no backbone is to blame. */
  throwIfRefused(): void {
    if (this.#refusal !== undefined) throw this.#refusal.error;
  }

  #refused(error: unknown): never {
    this.#refusal ??= { error };
    throw error;
  }

  #note(event: GenerateEvent): GenerateEvent | undefined {
    if (event.$case === 'delta') {
      for (const { index, tokenIds } of event.value.choices) this.#noteTokens(index, tokenIds);
      return event;
    }
    if (event.$case === 'accepted') this.#promptLogprobs = [];
    if (this.#announced.has(event.$case)) return undefined;
    const whole = event.$case === 'promptLogprobs' ? this.#joined(event.value) : event;
    if (whole === undefined) return undefined;
    this.#announced.add(event.$case);
    if (event.$case === 'accepted') this.#accepted = event.value;
    if (event.$case === 'finished') return { ...event, value: this.#asAccepted(event.value) };
    return whole;
  }

  /** Keeps a part of the prompt's log-probabilities; returns all of them with the last part. */
  #joined(part: PromptLogprobs): GenerateEvent | undefined {
    for (const one of part.tokens) this.#promptLogprobs.push(one);
    const { numPromptTokens = 0 } = this.#accepted ?? {};
    const tokens = this.#promptLogprobs;
    if (tokens.length < numPromptTokens - 1) return undefined;
    this.#promptLogprobs = [];
    return { $case: 'promptLogprobs', value: { tokens } };
  }

  #noteTokens(index: number, tokenIds: readonly number[]): void {
    const known = this.#tokenIds.get(index);
    if (known !== undefined) known.push(...tokenIds);
    else if (tokenIds.length > 0) this.#tokenIds.set(index, [...tokenIds]);
  }

  /** Repeats what was announced of the prompt, which a resumed run finds cached. */
  #asAccepted(finished: Finished): Finished {
    const { numCachedTokens = finished.numCachedTokens } = this.#accepted ?? {};
    return { ...finished, numCachedTokens };
  }
}
