import type { Clock } from '#mesh/async/clock.ts';
import { ERRORS, MeshError } from '#mesh/errors.ts';
import { ClientTally } from '#mesh/fairness/client-tally.ts';
import { AnswerRecord } from './answer-record.ts';
import type { KeepLimits } from './idempotency-options.ts';

/** Bytes that an answer counts besides its text, so that their number is bounded, too. */
const ENTRY_BYTES = 1024;

export interface KeptAnswersOptions extends KeepLimits {
  readonly clock: Clock;
  /** Called with what became of each request with a key. */
  readonly onOutcome: (outcome: KeyOutcome) => void;
}

/** `started`: it runs; `joined`: another one runs; `replayed`: it was finished; `mismatched`: 422. */
export type KeyOutcome = 'started' | 'joined' | 'replayed' | 'mismatched';

/** A request with an Idempotency-Key. */
export interface KeyedRequest {
  /** Who asks; nobody gets the answer of another client. */
  readonly client: string;
  readonly key: string;
  /** What the request says, its route included. */
  readonly hash: string;
  readonly requestId: string;
  /** Counts bytes that the run loads; called for one of the requests that wait for it. */
  readonly hold: (numBytes: number) => void;
}

/** What a run works with. */
export interface AnswerRun {
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  readonly send: (frames: string) => Promise<void> | undefined;
  readonly hold: (numBytes: number) => void;
  /** Names who answers instead of the model, before anything is sent. */
  readonly label: (servedBy: string) => void;
}

/** A request's share in a run. */
export interface AnswerSeat {
  readonly record: AnswerRecord;
  /** Id of the request that was first; unset for that one. */
  readonly originalRequestId?: string;
  /**
   * Gives the share up; called once, however the request ends. `reason` is why its wait ended early:
   * a client that has gone may come back, so the run goes on without it for a while.
   */
  leave(reason: unknown): void;
}

interface Entry {
  readonly name: string;
  readonly client: string;
  readonly hash: string;
  readonly requestId: string;
  readonly record: AnswerRecord;
  readonly abort: AbortController;
  /** Those that wait for the answer. */
  readonly seats: Set<KeyedRequest>;
  numBytes: number;
  isKept: boolean;
  /** Stops the timer that ends the run or the keeping. */
  callOff: () => void;
}

/**
 * Answers of requests with an Idempotency-Key: a repeated request joins the one that runs or gets
 * the answer that it had. Failures of the server are forgotten, since a repeated request should be
 * tried again.
 */
export class KeptAnswers {
  readonly #options: KeptAnswersOptions;
  readonly #entries = new Map<string, Entry>();
  /** Those that have ended, oldest first. */
  readonly #ended = new Set<Entry>();
  readonly #bytes = new ClientTally();

  constructor(options: KeptAnswersOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#entries.size;
  }

  get numBytes(): number {
    return this.#bytes.total;
  }

  get maxBytes(): number {
    return this.#options.maxBytes;
  }

  /** Joins the run or the answer under a key, or starts it; throws IDEMPOTENCY_KEY_REUSED. */
  join(request: KeyedRequest, start: (run: AnswerRun) => Promise<string>): AnswerSeat {
    const name = `${request.client} ${request.key}`;
    const known = this.#entries.get(name);
    if (known === undefined) {
      this.#options.onOutcome('started');
      return this.#begin(name, request, start);
    }
    if (known.hash !== request.hash) {
      this.#options.onOutcome('mismatched');
      throw reusedKey();
    }
    this.#options.onOutcome(known.record.hasEnded ? 'replayed' : 'joined');
    return { ...this.#seat(known, request), originalRequestId: known.requestId };
  }

  /** Forgets all answers and ends the runs for which nobody waits. */
  close(): void {
    for (const entry of [...this.#entries.values()]) this.#forget(entry);
  }

  #begin(
    name: string,
    request: KeyedRequest,
    start: (run: AnswerRun) => Promise<string>,
  ): AnswerSeat {
    const { client, hash, requestId } = request;
    const entry: Entry = {
      name,
      client,
      hash,
      requestId,
      record: new AnswerRecord((numBytes) => this.#grow(entry, numBytes)),
      abort: new AbortController(),
      seats: new Set(),
      numBytes: 0,
      isKept: true,
      callOff: () => {},
    };
    this.#entries.set(name, entry);
    const seat = this.#seat(entry, request);
    this.#grow(entry, ENTRY_BYTES);
    void this.#run(entry, start);
    return seat;
  }

  async #run(entry: Entry, start: (run: AnswerRun) => Promise<string>): Promise<void> {
    const { record, seats, abort } = entry;
    const { signal } = abort;
    const hold = (numBytes: number) => {
      const [waiting] = seats;
      waiting?.hold(numBytes);
    };
    try {
      const send = (frames: string) => record.push(frames, signal);
      const label = (servedBy: string) => record.label(servedBy);
      record.finish(await start({ signal, send, hold, label }));
    } catch (error: unknown) {
      record.fail(error);
      if (!isLasting(error)) this.#forget(entry);
    }
    if (!entry.isKept) return;
    entry.callOff();
    this.#ended.add(entry);
    entry.callOff = this.#options.clock.after(this.#options.ttlMs, () => this.#forget(entry));
  }

  #seat(entry: Entry, request: KeyedRequest): AnswerSeat {
    const { record, seats } = entry;
    if (!record.hasEnded) entry.callOff();
    seats.add(request);
    return {
      record,
      leave: (reason) => {
        seats.delete(request);
        if (seats.size === 0 && !record.hasEnded) this.#leaveAlone(entry, reason);
      },
    };
  }

  /** Ends a run for which nobody waits, at once or when its client has had time to come back. */
  #leaveAlone(entry: Entry, reason: unknown): void {
    const end = () => {
      entry.abort.abort(reason);
      this.#forget(entry);
    };
    const { clock, graceMs } = this.#options;
    const mayComeBack = reason instanceof MeshError && reason.reason === 'CANCELLED';
    if (mayComeBack && entry.isKept && graceMs > 0) entry.callOff = clock.after(graceMs, end);
    else end();
  }

  #grow(entry: Entry, numBytes: number): void {
    if (!entry.isKept) return;
    this.#count(entry, numBytes);
    while (this.#bytes.total > this.#options.maxBytes) this.#forget(this.#victim(entry));
  }

  /** Returns the answer that makes room: the oldest, or the growing one if all others run. */
  #victim(growing: Entry): Entry {
    const { client } = growing;
    const isGreedy = this.#bytes.of(client) > this.#options.maxBytes / 2;
    for (const entry of this.#ended) {
      if (!isGreedy || entry.client === client) return entry;
    }
    return growing;
  }

  #count(entry: Entry, numBytes: number): void {
    entry.numBytes += numBytes;
    this.#bytes.add(entry.client, numBytes);
  }

  #forget(entry: Entry): void {
    if (!entry.isKept) return;
    entry.isKept = false;
    entry.callOff();
    this.#entries.delete(entry.name);
    this.#ended.delete(entry);
    this.#count(entry, -entry.numBytes);
    entry.record.stopKeeping();
    // Nobody can join any more.
    if (entry.seats.size === 0 && !entry.record.hasEnded) entry.abort.abort(gone());
  }
}

/** Tells whether a repeated request would fail in the same way. */
function isLasting(error: unknown): boolean {
  if (!(error instanceof MeshError) || error.reason === 'CANCELLED') return false;
  const { http } = ERRORS[error.reason];
  return http < 500 && http !== 429;
}

function gone(): MeshError {
  return new MeshError('CANCELLED', 'the client has gone');
}

function reusedKey(): MeshError {
  const message =
    'this Idempotency-Key was used with another request; choose a new one for each request, and repeat it with the same body only';
  return new MeshError('IDEMPOTENCY_KEY_REUSED', message, { param: 'Idempotency-Key' });
}
