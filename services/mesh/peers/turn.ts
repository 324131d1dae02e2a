import { MeshError } from '#mesh/errors.ts';

/** The part of a peer that a turn needs. */
export interface AskedPeer {
  readonly address: string;
  /** Number of this run of the process behind the address. */
  readonly life: number;
  readonly isReady: boolean;
  /** Whether a message of it is late; it is asked only if no other can be. Unset: no. */
  readonly isOverdue?: boolean;
  /**
   * Counts a call and its work; returns a function that ends it. `onLost` tells that the peer fell
   * silent.
   */
  begin(onLost: (why: MeshError) => void, work?: number): () => void;
}

/** Names a run of the process behind a peer. */
export function lifeOf({ address, life }: AskedPeer): string {
  return `${address} ${life}`;
}

/** How a peer's turn ended. */
export interface AttemptEnd {
  /** Unset if the peer is not to blame for anything. */
  readonly failure: MeshError | undefined;
  /** Whether it had brought the request further. */
  readonly hasProgress: boolean;
}

/** Is told how peers answer. */
export interface AttemptObserver<P> {
  /** A peer has brought a request further. */
  progressed(peer: P): void;
  /** A peer's turn is over. */
  ended(peer: P, end: AttemptEnd): void;
}

export interface TurnOptions<P> {
  /** Signal of the request; once it aborts, every failure is its reason. */
  readonly signal: AbortSignal;
  /** Kind of peer that was lost, as the failure names it: "the backbone". */
  readonly who: string;
  /** Work that the request is to a peer, in tokens; 0 if unset. */
  readonly work?: number;
  readonly observer?: AttemptObserver<P>;
}

/** One call to a peer: it is counted from its making to `end`, and given up when the peer is lost. */
export class Turn<P extends AskedPeer> {
  readonly peer: P;
  /** The run of the process that is asked; when the call fails, the peer may know of the next one. */
  readonly life: string;
  readonly #options: TurnOptions<P>;
  readonly #ending = new AbortController();
  readonly #onAbort = () => this.#ending.abort(this.#options.signal.reason);
  readonly #endWork: () => void;
  #hasProgress = false;
  #isCancelled = false;
  #failure: MeshError | undefined;

  constructor(peer: P, options: TurnOptions<P>) {
    const { signal, work } = options;
    this.peer = peer;
    this.life = lifeOf(peer);
    this.#options = options;
    signal.addEventListener('abort', this.#onAbort);
    if (signal.aborted) this.#onAbort();
    this.#endWork = peer.begin((why) => this.#ending.abort(why), work);
  }

  /** Aborts with the request, when the peer has fallen silent, or when the turn is cancelled. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  get hasProgress(): boolean {
    return this.#hasProgress;
  }

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** Notes that the peer has brought the request further. */
  progress(): void {
    if (!this.#hasProgress) this.#options.observer?.progressed(this.peer);
    this.#hasProgress = true;
  }

  /** Gives the call up because its answer is not needed, for which the peer is not to blame. */
  cancel(): void {
    this.#isCancelled = true;
    this.#ending.abort(new MeshError('CANCELLED', 'another peer has answered'));
  }

  /**
   * Returns why the peer did not answer, as the request's failure: the error of a call that was given
   * up says nothing. An error that is no MeshError is returned as it is.
   */
  whyFailed(error: unknown): unknown {
    const { signal, who } = this.#options;
    const cause: unknown = this.signal.aborted ? this.signal.reason : error;
    if (!(cause instanceof MeshError) || cause.reason !== 'CANCELLED') return cause;
    if (signal.aborted || this.#isCancelled) return cause;
    // Nobody here has given the call up, so the peer was ended while it was running.
    const message = `${who} ended the call`;
    return new MeshError('NO_READY_ENDPOINT', message, { cause, isPeerLost: true });
  }

  /**
   * Notes why the peer did not answer and returns it as the request's failure. Throws an error that
   * is no MeshError.
   */
  failed(error: unknown): MeshError {
    const cause = this.whyFailed(error);
    if (!(cause instanceof MeshError)) throw cause;
    if (!this.#options.signal.aborted && !this.#isCancelled) this.#failure = cause;
    return cause;
  }

  end(): void {
    const { signal, observer } = this.#options;
    this.#endWork();
    observer?.ended(this.peer, { failure: this.#failure, hasProgress: this.#hasProgress });
    signal.removeEventListener('abort', this.#onAbort);
  }
}
