import type { IncomingMessage } from 'node:http';
import type { Clock } from '#mesh/async/clock.ts';
import { MeshError } from '#mesh/errors.ts';
import { ClientTally } from '#mesh/fairness/client-tally.ts';
import { mbOf } from '#mesh/megabytes.ts';
import { Roster } from '#mesh/roster.ts';

/** Bytes a second on average below which a body gives way to others. */
const MIN_BYTES_PER_S = 64_000;
/** Milliseconds after which a body's pace is judged, and of silence after which it gives way. */
const TRIAL_MS = 2000;
/** Milliseconds that a body waits for room. */
const WAIT_MS = 10_000;

export interface MemoryLimits {
  /** Most bytes of all bodies and of their media, from their arrival to the end of the answer. */
  readonly maxBytes: number;
  /** Most bytes of bodies that are not complete. */
  readonly maxUnfinishedBytes: number;
  readonly clock: Clock;
  /** Names the client of a request; clients share the room for bodies that are not complete. */
  readonly clientOf: (request: IncomingMessage) => string;
  /** Called with the bytes of each body that is no longer held. */
  readonly onRelease?: (numBytes: number) => void;
}

export interface Arrival {
  /** Bytes that the client has announced; 0 if it has not. */
  readonly numAnnounced: number;
  /** Called if the body has to give way to others while it is received. */
  readonly onCutOff: (error: MeshError) => void;
}

/** Room for the body of one request, which it does not refer to: accounts outlive it for a while. */
interface Account {
  readonly client: string;
  /** Set while it is open. */
  onCutOff: Arrival['onCutOff'] | undefined;
  /** Takes it out of the roster. */
  leave: () => void;
  readonly startMs: number;
  numBytes: number;
  /** Time of the last byte. */
  lastMs: number;
  /** Bytes that count as unfinished: those announced or received; 0 once the body is complete. */
  numReserved: number;
}

interface RoomWish {
  readonly client: string;
  readonly numBytes: number;
  /** The body that asks, if it has room already. */
  readonly own?: Account;
}

/** A body that is not read yet. */
interface Waiter extends RoomWish {
  readonly request: IncomingMessage;
  readonly admit: () => void;
  readonly refuse: () => void;
}

/**
 * Shares out memory among the bodies of all requests. A body has its announced length reserved
 * before it is read. If there is no room, it waits unread. Those that come slowly give way, so that
 * half-sent bodies cost others nothing, then those of a client that holds more than the asking one
 * would. Room goes first to the body whose client would hold least with it.
 */
export class BodyMemory {
  readonly #limits: MemoryLimits;
  readonly #accounts = new WeakMap<IncomingMessage, Account>();
  /** The open ones. */
  readonly #open = new Roster<Account>();
  /** In order of arrival. */
  readonly #waiting = new Set<Waiter>();
  /** Bytes of bodies that are not complete. */
  readonly #unfinishedBytes = new ClientTally();
  /** Bytes of all requests. */
  readonly #bytes = new ClientTally();
  #callOff = () => {};

  constructor(limits: MemoryLimits) {
    this.#limits = limits;
  }

  get maxBytes(): number {
    return this.#limits.maxBytes;
  }

  get numBytes(): number {
    return this.#bytes.total;
  }

  get numUnfinishedBytes(): number {
    return this.#unfinishedBytes.total;
  }

  /** Reserves room for a body that is about to be read; throws QUEUE_FULL if none comes free. */
  async open(request: IncomingMessage, arrival: Arrival): Promise<void> {
    const { clock, clientOf } = this.#limits;
    const client = clientOf(request);
    const numBytes = arrival.numAnnounced;
    // Nearly every body finds room at once, and needs no place among those that wait.
    if (this.#waiting.size === 0 && !request.destroyed && this.#makeRoom({ client, numBytes })) {
      this.#admit(request, client, arrival);
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const end = (settle: () => void) => {
        callOff();
        this.#waiting.delete(waiter);
        settle();
      };
      const admit = () => {
        this.#admit(request, client, arrival);
        end(resolve);
      };
      const refuse = () => end(() => reject(this.#busy()));
      const callOff = clock.after(WAIT_MS, refuse);
      const waiter = { request, client, numBytes, admit, refuse };
      this.#waiting.add(waiter);
      this.#shareOut();
    });
  }

  #admit(request: IncomingMessage, client: string, arrival: Arrival): void {
    const startMs = this.#limits.clock.now();
    const { numAnnounced, onCutOff } = arrival;
    const counts = { startMs, lastMs: startMs, numBytes: 0, numReserved: 0 };
    const account: Account = { client, onCutOff, leave: () => {}, ...counts };
    account.leave = this.#open.add(account);
    this.#accounts.set(request, account);
    this.#reserve(account, numAnnounced);
  }

  /** Gives room to those that wait, the one first whose client would hold least with it. */
  #shareOut(): void {
    this.#callOff();
    this.#callOff = () => {};
    for (;;) {
      const next = this.#next();
      if (next === undefined) return;
      if (!this.#makeRoom(next)) break;
      next.admit();
    }
    // Bodies that have room become slow without an event.
    this.#callOff = this.#limits.clock.after(TRIAL_MS / 2, () => this.#shareOut());
  }

  #next(): Waiter | undefined {
    let best: Waiter | undefined;
    let bestHeld = Infinity;
    for (const waiter of this.#waiting) {
      if (waiter.request.destroyed) {
        waiter.refuse();
        continue;
      }
      const held = this.#unfinishedBytes.of(waiter.client) + waiter.numBytes;
      if (held >= bestHeld) continue;
      best = waiter;
      bestHeld = held;
    }
    return best;
  }

  /** Adds to the unfinished bytes of a body, or takes away from them. */
  #reserve(account: Account, numBytes: number): void {
    account.numReserved += numBytes;
    this.#unfinishedBytes.add(account.client, numBytes);
  }

  /** Counts further bytes of a body; throws QUEUE_FULL if they are too many. */
  take(request: IncomingMessage, numBytes: number): void {
    const account = this.#accountOf(request);
    if (account === undefined) throw this.#busy();
    if (!this.#fits(account, numBytes)) throw this.#busy();
    const numMore = Math.max(0, account.numBytes + numBytes - account.numReserved);
    const wish = { client: account.client, numBytes: numMore, own: account };
    if (numMore > 0 && !this.#makeRoom(wish)) throw this.#busy();
    this.#reserve(account, numMore);
    account.lastMs = this.#limits.clock.now();
    this.#count(account, numBytes);
  }

  /**
   * Counts bytes that a request holds besides its body, such as fetched media; they are given back
   * with it. Throws QUEUE_FULL if they are too many.
   */
  add(request: IncomingMessage, numBytes: number): void {
    const account = this.#accountOf(request);
    if (account === undefined) throw new MeshError('CANCELLED', 'the client has gone');
    if (!this.#fits(account, numBytes)) throw this.#busy();
    this.#count(account, numBytes);
  }

  /** Tells whether bytes fit; the last ones are for clients that hold little. */
  #fits({ client }: Account, numBytes: number): boolean {
    const { maxBytes } = this.#limits;
    const wish = { client, amount: numBytes };
    return this.#bytes.total + numBytes <= maxBytes && !this.#bytes.isKept(wish, maxBytes);
  }

  /** Adds to the bytes of a request, or takes them away. */
  #count(account: Account, numBytes: number): void {
    account.numBytes += numBytes;
    this.#bytes.add(account.client, numBytes);
  }

  /** Marks a body as complete: it no longer counts as unfinished. */
  complete(request: IncomingMessage): void {
    const account = this.#accountOf(request);
    if (account === undefined) return;
    this.#reserve(account, -account.numReserved);
    this.#shareOut();
  }

  /** Gives back all bytes of a request. */
  release(request: IncomingMessage): void {
    const account = this.#accountOf(request);
    if (account === undefined) return;
    this.#close(account);
    this.#shareOut();
  }

  /** Returns the account of a request; undefined if it has none that is open. */
  #accountOf(request: IncomingMessage): Account | undefined {
    const account = this.#accounts.get(request);
    return account?.onCutOff === undefined ? undefined : account;
  }

  #close(account: Account): void {
    account.onCutOff = undefined;
    account.leave();
    this.#reserve(account, -account.numReserved);
    this.#limits.onRelease?.(account.numBytes);
    this.#count(account, -account.numBytes);
  }

  /** Cuts off others' bodies until there is room; false if there is none. */
  #makeRoom({ client, numBytes, own }: RoomWish): boolean {
    const { maxUnfinishedBytes } = this.#limits;
    if (numBytes > maxUnfinishedBytes) return false;
    while (this.#unfinishedBytes.total + numBytes > maxUnfinishedBytes) {
      const victim = this.#slowest(own) ?? this.#oldestOfHeaviest(client, numBytes);
      if (victim === undefined) return false;
      const { onCutOff } = victim;
      this.#close(victim);
      onCutOff?.(displaced());
    }
    return true;
  }

  /** Returns the slow body that has been silent longest. */
  #slowest(own: Account | undefined): Account | undefined {
    return this.#unfinished()
      .filter((account) => account !== own && this.#isSlow(account))
      .sort((a, b) => a.lastMs - b.lastMs)[0];
  }

  /** Returns the oldest body of the client that holds most, if that is more than the asking one would. */
  #oldestOfHeaviest(client: string, numBytes: number): Account | undefined {
    const nowMs = this.#limits.clock.now();
    const held = this.#unfinishedBytes.of(client) + numBytes;
    const tried = this.#unfinished().filter(({ startMs }) => nowMs - startMs >= TRIAL_MS);
    const byClient = new Map(
      tried.map((one) => [one.client, this.#unfinishedBytes.of(one.client)]),
    );
    const most = Math.max(...byClient.values());
    if (!(most > held)) return undefined;
    return tried.find((one) => one.client !== client && byClient.get(one.client) === most);
  }

  /** Returns the accounts of bodies that are not complete, the oldest first. */
  #unfinished(): Account[] {
    const unfinished = this.#open.members().filter(({ numReserved }) => numReserved > 0);
    return unfinished.sort((a, b) => a.startMs - b.startMs);
  }

  #isSlow({ startMs, lastMs, numBytes }: Account): boolean {
    const nowMs = this.#limits.clock.now();
    const elapsedMs = nowMs - startMs;
    if (elapsedMs < TRIAL_MS) return false;
    return nowMs - lastMs >= TRIAL_MS || numBytes * 1000 < MIN_BYTES_PER_S * elapsedMs;
  }

  #busy(): MeshError {
    const { maxBytes, maxUnfinishedBytes } = this.#limits;
    const message = `the server is busy: the bodies of its requests and their media may have ${mbOf(maxBytes)} MB together (key "body-buffer-mb"), those that are not complete ${mbOf(maxUnfinishedBytes)} MB (key "unfinished-body-mb")`;
    return new MeshError('QUEUE_FULL', message);
  }
}

function displaced(): MeshError {
  const message =
    'the server is busy, and the body came too slowly or its client sends many; send it again later';
  return new MeshError('QUEUE_FULL', message);
}
