import { ERRORS, type ErrorReason, MeshError } from '#mesh/errors.ts';

/** What of a peer an attempt needs. */
export interface AskedPeer {
  readonly address: string;
  readonly isReady: boolean;
  /** Counts a call; returns what ends it. */
  begin(): () => void;
}

export interface AttemptOptions {
  /** Of the request; once it aborts, every failure is its reason. */
  readonly signal: AbortSignal;
  /** Who has been lost, as the failure names it: "the backbone". */
  readonly who: string;
  /** Most peers asked for one request; unset: all. */
  readonly maxAttempts?: number;
  /** Called before another peer is asked, with what the last one failed with. */
  readonly onRetry?: (reason: ErrorReason) => void;
}

/** One peer's turn to answer a request. */
export interface Attempt<P> {
  readonly peer: P;
  /**
   * Notes why the peer did not answer, so that the loop goes on with another; throws if no other can
   * help, as after output has been passed on.
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

  /** What the last peer failed with; undefined if none was asked. */
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

/** Whether another peer may answer what one has failed with this. */
export function mayRetryElsewhere(error: unknown): error is MeshError {
  return error instanceof MeshError && ERRORS[error.reason].retryElsewhere;
}

/** The signal's reason if it has aborted, the peer's error otherwise; throws what is no MeshError. */
function failureOf(
  error: unknown,
  { signal, who }: Pick<AttemptOptions, 'signal' | 'who'>,
): MeshError {
  const cause: unknown = signal.aborted ? signal.reason : error;
  if (!(cause instanceof MeshError)) throw cause;
  if (signal.aborted || cause.reason !== 'CANCELLED') return cause;
  // We cancelled nothing: the peer was ended with the call still running.
  return new MeshError('NO_READY_ENDPOINT', `${who} ended the call`, { cause });
}
