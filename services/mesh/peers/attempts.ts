import { ERRORS, type ErrorReason, MeshError } from '#mesh/errors.ts';

/** The part of a peer that an attempt needs. */
export interface AskedPeer {
  readonly address: string;
  readonly isReady: boolean;
  /** Counts a call; returns a function that ends it. */
  begin(): () => void;
}

export interface AttemptOptions {
  /** Signal of the request; once it aborts, every failure is its reason. */
  readonly signal: AbortSignal;
  /** Kind of peer that was lost, as the failure names it: "the backbone". */
  readonly who: string;
  /** Most peers asked for one request; all if unset. */
  readonly maxAttempts?: number;
  /** Called before another peer is asked, with the reason of the last failure. */
  readonly onRetry?: (reason: ErrorReason) => void;
}

/** One peer's turn to answer a request. */
export interface Attempt<P> {
  readonly peer: P;
  /**
   * Notes why the peer did not answer, so that the loop goes on with another. Throws the failure if
   * no other peer can help, for example because output has been passed on.
   */
  fail(error: unknown, state?: { readonly hasOutput: boolean }): void;
}

/**
 * The peers that are asked for one request, one after the other, none twice. Iterate it; return from
 * the loop with the answer, or call `fail` and go on. The loop ends when no peer is left:
 *
 *     for (const attempt of attempts) {
 *       try {
 *         return await ask(attempt.peer);
 *       } catch (error: unknown) {
 *         attempt.fail(error);
 *       }
 *     }
 *     throw attempts.failure ?? nobodyIsReady();
 */
export class Attempts<P extends AskedPeer> {
  readonly #set: { readonly peers: readonly P[] };
  readonly #pick: (candidates: readonly P[]) => P | undefined;
  readonly #options: AttemptOptions;
  readonly #tried = new Set<string>();
  #failure: MeshError | undefined;

  /** `pick` chooses among the ready peers of the set that have not been asked. */
  constructor(
    set: { readonly peers: readonly P[] },
    pick: (candidates: readonly P[]) => P | undefined,
    options: AttemptOptions,
  ) {
    this.#set = set;
    this.#pick = pick;
    this.#options = options;
  }

  /** The last peer's failure; undefined if no peer was asked. */
  get failure(): MeshError | undefined {
    return this.#failure;
  }

  *[Symbol.iterator](): Generator<Attempt<P>> {
    for (;;) {
      const peer = this.#pick(this.#set.peers.filter((one) => this.#isCandidate(one)));
      if (peer === undefined) return;
      this.#tried.add(peer.address);
      if (this.#failure !== undefined) this.#options.onRetry?.(this.#failure.reason);
      const end = peer.begin();
      try {
        yield { peer, fail: (error, state) => this.#fail(error, state?.hasOutput ?? false) };
      } finally {
        end();
      }
    }
  }

  #isCandidate({ isReady, address }: P): boolean {
    return isReady && !this.#tried.has(address);
  }

  #fail(error: unknown, hasOutput: boolean): void {
    const { signal, who, maxAttempts = Infinity } = this.#options;
    const failure = failureOf(error, { signal, who });
    if (hasOutput || !mayRetryElsewhere(failure) || this.#tried.size >= maxAttempts) throw failure;
    this.#failure = failure;
  }
}

/** Tells whether another peer may answer after this failure. */
export function mayRetryElsewhere(error: unknown): error is MeshError {
  return error instanceof MeshError && ERRORS[error.reason].retryElsewhere;
}

/**
 * Returns the signal's reason if it has aborted, the peer's error otherwise; throws an error that
 * is no MeshError.
 */
function failureOf(
  error: unknown,
  { signal, who }: Pick<AttemptOptions, 'signal' | 'who'>,
): MeshError {
  const cause: unknown = signal.aborted ? signal.reason : error;
  if (!(cause instanceof MeshError)) throw cause;
  if (signal.aborted || cause.reason !== 'CANCELLED') return cause;
  // The signal has not aborted, so the peer was ended while the call was running.
  return new MeshError('NO_READY_ENDPOINT', `${who} ended the call`, { cause });
}
