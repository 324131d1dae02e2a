import { MeshError } from '#mesh/errors.ts';
import type { Sequence } from './sequence.ts';
import type { SequenceOrder } from './sequence-order.ts';
import type { Ticket } from './ticket.ts';

export interface WaitingLimits {
  /** Most waiting sequences that could run. */
  readonly maxNumWaiting: number;
  /** Most waiting sequences that lack rows of media. */
  readonly maxNumWaitingMedia: number;
}

/** Limit for answers that another instance began, as a multiple of that for new ones. */
const RESUMED_SHARE = 2;

/** The places that one request takes. */
interface Occupancy {
  readonly ticket: Ticket;
  numPlaces: number;
}

/**
 * Bounds the waiting queue, with the requests on their way to it. Sequences that lack media rows
 * have places of their own, so that slow media keep no text out.
 *
 * If all places are taken, a request may take those of others that have not started: of a lower
 * priority, or of the client with most places while its own client has fewer. Those that lose their
 * place are refused. Answers that another instance began find room beyond the limit.
 */
export class WaitingRoom {
  readonly #limits: WaitingLimits;
  readonly #order: SequenceOrder;
  readonly #waiting: readonly Sequence[];
  /** Places of requests that are being read. */
  readonly #reserved = new Map<Ticket, number>();

  /** `waiting` is the scheduler's own list. */
  constructor(limits: WaitingLimits, order: SequenceOrder, waiting: readonly Sequence[]) {
    this.#limits = limits;
    this.#order = order;
    this.#waiting = waiting;
  }

  hasReserved(ticket: Ticket): boolean {
    return this.#reserved.has(ticket);
  }

  /** Reserves places for the sequences of a request; throws QUEUE_FULL. */
  reserve(ticket: Ticket, numSequences: number): void {
    this.makeRoom(ticket, numSequences);
    this.#reserved.set(ticket, numSequences);
  }

  /** Gives up the places that a request has reserved. */
  giveUp(ticket: Ticket): void {
    this.#reserved.delete(ticket);
  }

  /** Makes sure that the sequences of a request fit, displaces others if need be. */
  makeRoom(ticket: Ticket, numSequences: number): void {
    const { maxNumWaiting, maxNumWaitingMedia } = this.#limits;
    const maxNew = ticket.needsMedia ? maxNumWaitingMedia : maxNumWaiting;
    const max = ticket.isResumed ? RESUMED_SHARE * maxNew : maxNew;
    let occupancies = this.#occupancies(ticket.needsMedia);
    const victims: Ticket[] = [];
    while (count(occupancies) + numSequences > max) {
      const victim =
        numSequences > max ? undefined : this.#victim(occupancies, ticket, numSequences);
      if (victim === undefined)
        throw full(ticket, { numWaiting: count(occupancies), numSequences, max });
      victims.push(victim);
      occupancies = occupancies.filter((one) => one.ticket !== victim);
    }
    for (const victim of victims) {
      const message = `${max} ${kindOf(victim)} wait and a request of another client, or of a higher priority, took this one's place; retry later`;
      victim.displace(new MeshError('QUEUE_FULL', message));
    }
  }

  #victim(
    occupancies: readonly Occupancy[],
    newcomer: Ticket,
    numSequences: number,
  ): Ticket | undefined {
    const numOf = (client: string) =>
      count(occupancies.filter(({ ticket }) => ticket.client === client));
    const rank = this.#order.rankOf(newcomer);
    const open = occupancies.map(({ ticket }) => ticket).filter((ticket) => !ticket.hasStarted);
    const lower = open.filter(
      (ticket) => ticket.priority > newcomer.priority && this.#order.rankOf(ticket) > rank,
    );
    if (lower.length > 0) return this.#last(lower);
    const numOwn = numOf(newcomer.client) + numSequences;
    const others = open.filter(({ priority }) => priority >= newcomer.priority);
    const held = new Map(others.map(({ client }) => [client, numOf(client)]));
    held.delete(newcomer.client);
    const most = Math.max(0, ...held.values());
    if (most <= numOwn) return undefined;
    return this.#last(others.filter(({ client }) => held.get(client) === most));
  }

  #last(tickets: readonly Ticket[]): Ticket | undefined {
    const [first] = tickets;
    const isLater = (a: Ticket, b: Ticket) => this.#order.rankOf(a) >= this.#order.rankOf(b);
    return tickets.reduce((last, ticket) => (last && isLater(last, ticket) ? last : ticket), first);
  }

  #occupancies(needsMedia: boolean): readonly Occupancy[] {
    const byTicket = new Map<Ticket, Occupancy>();
    const take = (ticket: Ticket, numPlaces: number) => {
      if (ticket.displaced.aborted) return;
      const known = byTicket.get(ticket);
      if (known === undefined) byTicket.set(ticket, { ticket, numPlaces });
      else known.numPlaces += numPlaces;
    };
    for (const [ticket, numPlaces] of this.#reserved) {
      if (ticket.needsMedia === needsMedia) take(ticket, numPlaces);
    }
    for (const sequence of this.#waiting) {
      if (sequence.lacksRows === needsMedia) take(sequence.ticket, 1);
    }
    return [...byTicket.values()];
  }
}

function count(occupancies: readonly Occupancy[]): number {
  return occupancies.reduce((sum, { numPlaces }) => sum + numPlaces, 0);
}

function kindOf({ needsMedia }: Ticket): string {
  return needsMedia ? 'sequences that need media' : 'sequences';
}

function full(
  ticket: Ticket,
  { numWaiting, numSequences, max }: { numWaiting: number; numSequences: number; max: number },
): MeshError {
  const key = ticket.needsMedia ? 'max-num-waiting-media' : 'max-num-waiting';
  return new MeshError(
    'QUEUE_FULL',
    `${numWaiting} ${kindOf(ticket)} are waiting and at most ${max} may (key "${key}"); ${numSequences} more do not fit, retry later`,
  );
}
