import type { Clock } from '#mesh/async/clock.ts';
import { hash32 } from '#mesh/balance/hash.ts';

/** Sequences that a backbone of weight 1 runs at once, and tokens a second of each. */
const NUM_SEQUENCES = 32;
const TOKENS_PER_S = 500;

/** Milliseconds after which a broken engine refuses a request. */
const REFUSAL_MS = 5;

/** Tokens a second of a backbone of weight 1 that is busy. */
export const CAPACITY = NUM_SEQUENCES * TOKENS_PER_S;

/**
 * How a request's turn at a backbone ends: `lost` breaks off a stream, `unreachable` is known before
 * one begins.
 */
export type CallEnd = 'answered' | 'engine failed' | 'lost' | 'unreachable';

/** `ended`: connections to it break and are refused; `silent`: nothing comes back. */
export type BackboneState = 'running' | 'ended' | 'silent';

/** A request at a backbone. */
export interface BackboneCall {
  /** Work of the request, tokens. */
  readonly work: number;
  readonly onEnd: (how: CallEnd) => void;
}

interface Running {
  readonly beganMs: number;
  readonly callOff: () => void;
}

export interface BackboneOptions {
  readonly index: number;
  readonly weight: number;
  /** Share of the speed of others. */
  readonly speed: number;
  readonly isBroken: boolean;
  readonly clock: Clock;
  /** Is told how long each request waited until it ran, milliseconds. */
  readonly onWaited: (ms: number) => void;
}

/** A backbone that runs sequences at a constant speed each, and lets the others wait in order. */
export class SimulatedBackbone {
  readonly index: number;
  readonly address: string;
  /** `hash32` of the address. */
  readonly hash: number;
  readonly weight: number;
  /** Requests that it was sent. */
  numAsked = 0;
  state: BackboneState = 'running';
  readonly #options: BackboneOptions;
  readonly #running = new Map<BackboneCall, Running>();
  /** Calls that wait, and since when, in milliseconds; in order. */
  readonly #waiting = new Map<BackboneCall, number>();

  constructor(options: BackboneOptions) {
    const { index, weight } = options;
    this.index = index;
    this.address = `10.0.${index >> 8}.${index & 255}:8051`;
    this.hash = hash32(this.address);
    this.weight = weight;
    this.#options = options;
  }

  /** Tokens of the requests inside that are not done, as a backbone reports them. */
  get numOutstandingTokens(): number {
    const nowMs = this.#options.clock.now();
    let tokens = 0;
    for (const { work } of this.#waiting.keys()) tokens += work;
    for (const [{ work }, { beganMs }] of this.#running) {
      tokens += Math.max(1, Math.ceil(work - (nowMs - beganMs) * this.#tokensPerMs));
    }
    return tokens;
  }

  /** Tokens of the requests inside that have not ended. */
  get numUnfinishedTokens(): number {
    let tokens = 0;
    for (const { work } of this.#waiting.keys()) tokens += work;
    for (const { work } of this.#running.keys()) tokens += work;
    return tokens;
  }

  begin(call: BackboneCall): void {
    const { isBroken, clock } = this.#options;
    this.numAsked += 1;
    if (isBroken) {
      clock.after(REFUSAL_MS, () => call.onEnd('engine failed'));
      return;
    }
    this.#waiting.set(call, clock.now());
    this.#fill();
  }

  /** Stops all work, and tells nobody. */
  die(state: 'ended' | 'silent'): void {
    for (const { callOff } of this.#running.values()) callOff();
    this.#running.clear();
    this.#waiting.clear();
    this.state = state;
  }

  get #tokensPerMs(): number {
    return (TOKENS_PER_S * this.#options.speed) / 1000;
  }

  #fill(): void {
    const { clock, onWaited, weight } = this.#options;
    for (const [call, sinceMs] of this.#waiting) {
      if (this.#running.size >= NUM_SEQUENCES * weight) return;
      this.#waiting.delete(call);
      onWaited(clock.now() - sinceMs);
      const callOff = clock.after(call.work / this.#tokensPerMs, () => this.#finish(call));
      this.#running.set(call, { beganMs: clock.now(), callOff });
    }
  }

  #finish(call: BackboneCall): void {
    this.#running.delete(call);
    call.onEnd('answered');
    this.#fill();
  }
}
