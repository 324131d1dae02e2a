import type { Changes } from '#mesh/async/changes.ts';
import { type Clock, systemClock } from '#mesh/async/clock.ts';
import type { RetryBudget } from '#mesh/balance/retry-budget.ts';
import { ERRORS, type ErrorReason, MeshError } from '#mesh/errors.ts';
import type { Patience } from './patience.ts';
import { hasDied } from './peer-faults.ts';
import { type AskedPeer, lifeOf, Turn, type TurnOptions } from './turn.ts';

/** The peers of one kind. */
export interface AskedSet<P> {
  readonly peers: readonly P[];
  /** Changes of the peers. */
  readonly changes: Changes;
}

export interface AttemptOptions<P = AskedPeer> extends TurnOptions<P> {
  /** Most peers asked in a row that bring the request no further; all if unset. */
  readonly maxAttempts?: number;
  /** Most peers that may fail, drains excepted, once they have brought it further; any if unset. */
  readonly maxLosses?: number;
  /** Pays for the attempts that follow the refusal of a peer that lives. */
  readonly budget?: RetryBudget;
  /** Tells whether a ready peer may answer the request; unset: all may. */
  readonly allows?: (peer: P) => boolean;
  /** Called before another peer is asked, with the reason of the last failure. */
  readonly onRetry?: (reason: ErrorReason) => void;
  readonly patience: Patience;
  /** Returns when one of the peers is expected back, in milliseconds; undefined if none is. */
  readonly expectedMs: () => number | undefined;
  /** Clock of the wait for a peer. */
  readonly clock?: Clock;
}

/** How a peer is taken for a request. */
export interface PeerEntry<P> {
  /**
   * Takes a place at one of the candidates, which may change meanwhile, and resolves with it;
   * undefined if there are none. Whoever iterates gives the place back. If unset, peers have room.
   */
  readonly enter?: (candidates: () => readonly P[]) => Promise<P | undefined>;
}

/** One peer's turn to answer a request. */
export interface Attempt<P extends AskedPeer> {
  readonly peer: P;
  /** Aborts with the request, or when the peer has fallen silent. */
  readonly signal: AbortSignal;
  readonly turn: Turn<P>;
  /** Notes that the peer has brought the request further, so that others may be asked again. */
  progress(): void;
  /**
   * Notes why the peer did not answer, so that the loop goes on with another. Throws the failure if
   * no other peer can help or is to be asked.
   */
  fail(error: unknown): void;
  /**
   * Begins the turn of a second peer, which `pick` chooses among those that may be asked and have
   * not been; undefined if it chooses none. Whoever calls it ends that turn.
   */
  beside(pick: (candidates: readonly P[]) => P | undefined): Turn<P> | undefined;
}

/**
 * The peers that are asked for one request, one after the other, no run of a process twice. While
 * all are away and one is expected soon, it is waited for. Iterate it; return from the loop with the
 * answer, or call `fail` and go on. The loop ends when no peer is left:
 *
 *     for await (const attempt of attempts) {
 *       try {
 *         return await ask(attempt.peer, attempt.signal);
 *       } catch (error: unknown) {
 *         attempt.fail(error);
 *       }
 *     }
 *     throw attempts.failure ?? nobodyIsReady();
 */
export class Attempts<P extends AskedPeer> {
  readonly #set: AskedSet<P>;
  readonly #pick: (candidates: readonly P[]) => P | undefined;
  readonly #options: AttemptOptions<P> & PeerEntry<P>;
  readonly #clock: Clock;
  /** Runs of processes that were asked since the request got further. */
  readonly #tried = new Set<string>();
  #numLosses = 0;
  #failure: MeshError | undefined;
  /** Time at which this request waits no longer. */
  #patientUntilMs: number | undefined;

  /** `pick` chooses among the ready peers of the set that may be asked and have not been. */
  constructor(
    set: AskedSet<P>,
    pick: (candidates: readonly P[]) => P | undefined,
    options: AttemptOptions<P> & PeerEntry<P>,
  ) {
    this.#set = set;
    this.#pick = pick;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** The last peer's failure; undefined if no peer was asked. */
  get failure(): MeshError | undefined {
    return this.#failure;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Attempt<P>> {
    this.#options.budget?.deposit();
    for (;;) {
      const choice = this.#choose();
      const chosen = choice instanceof Promise ? await choice : choice;
      const peer = chosen ?? (await this.#awaited());
      if (peer === undefined) return;
      this.#tried.add(lifeOf(peer));
      if (this.#failure !== undefined) this.#options.onRetry?.(this.#failure.reason);
      yield* this.#ask(peer);
    }
  }

  *#ask(peer: P): Generator<Attempt<P>> {
    const turn = new Turn(peer, this.#options);
    try {
      yield {
        peer,
        signal: turn.signal,
        turn,
        progress: () => turn.progress(),
        fail: (error) => this.#fail(turn.failed(error), turn),
        beside: (pick) => this.#beside(pick),
      };
    } finally {
      turn.end();
    }
  }

  #beside(pick: (candidates: readonly P[]) => P | undefined): Turn<P> | undefined {
    const peer = pick(this.#candidates());
    if (peer === undefined) return undefined;
    this.#tried.add(lifeOf(peer));
    return new Turn(peer, this.#options);
  }

  /** Takes a peer; one that is only picked is counted before any other request picks. */
  #choose(): Promise<P | undefined> | P | undefined {
    const { enter } = this.#options;
    return enter === undefined ? this.#pick(this.#candidates()) : enter(() => this.#candidates());
  }

  #candidates(): P[] {
    const { allows = () => true } = this.#options;
    const open = this.#set.peers.filter(
      (one) => one.isReady && !this.#tried.has(lifeOf(one)) && allows(one),
    );
    const heard = open.filter(({ isOverdue = false }) => !isOverdue);
    return heard.length > 0 ? heard : open;
  }

  /** Waits for a peer that is expected soon, if those that were asked have been lost. */
  async #awaited(): Promise<P | undefined> {
    const { patience, expectedMs, signal } = this.#options;
    const isLost = this.#failure === undefined || hasLeft(this.#failure);
    if (!isLost || !patience.allows(expectedMs())) return undefined;
    const { changes } = this.#set;
    this.#patientUntilMs ??= this.#clock.now() + patience.limitMs;
    const end = patience.begin();
    try {
      for (;;) {
        const seen = changes.count;
        const peer = await this.#choose();
        const limitMs = this.#patientUntilMs - this.#clock.now();
        if (peer !== undefined || limitMs <= 0) return peer;
        await changes.after(seen, { signal, limitMs, clock: this.#clock });
        signal.throwIfAborted();
      }
    } finally {
      end();
    }
  }

  #fail(cause: MeshError, { life, hasProgress }: Turn<P>): void {
    if (hasProgress) {
      this.#tried.clear();
      this.#tried.add(life);
      if (cause.reason !== 'DRAINING') this.#numLosses += 1;
    }
    const failure = this.#timed(cause);
    if (!this.#mayGoOn(failure)) throw failure;
    this.#failure = failure;
  }

  #mayGoOn(failure: MeshError): boolean {
    const { maxAttempts = Infinity, maxLosses = Infinity, budget } = this.#options;
    if (!mayRetryElsewhere(failure)) return false;
    if (this.#tried.size >= maxAttempts || this.#numLosses > maxLosses) return false;
    return hasLeft(failure) || budget === undefined || budget.withdraw();
  }

  /** Says when to come again after a loss, unless another peer can be asked at once. */
  #timed(failure: MeshError): MeshError {
    const expectedMs = this.#options.expectedMs();
    const isRecovery = hasLeft(failure) && this.#candidates().length === 0;
    if (!isRecovery || expectedMs === undefined) return failure;
    const { reason, message, isPeerLost, param } = failure;
    const retryAfterMs = Math.max(expectedMs, failure.retryAfterMs ?? 0);
    const details = { retryAfterMs, isPeerLost, cause: failure };
    return new MeshError(reason, message, { ...details, ...(param !== undefined && { param }) });
  }
}

/** Tells whether a peer failed because it ended or is about to, not because of the request. */
function hasLeft(error: MeshError): boolean {
  return hasDied(error) || error.reason === 'DRAINING';
}

/** Tells whether another peer may answer after this failure. */
export function mayRetryElsewhere(error: unknown): error is MeshError {
  return error instanceof MeshError && ERRORS[error.reason].retryElsewhere;
}
