/** A process as a registry lists it. */
export interface Member {
  /** `host:port`; a list names each address once. */
  readonly address: string;
  /** Share of the work that it gets beside others; 1 unless a registry says otherwise. */
  readonly weight: number;
  /** Name of the place whose failure would take it along; empty if unknown. */
  readonly zone: string;
  /** Whether it is about to end: it finishes what it has and is asked nothing new. */
  readonly isLeaving: boolean;
}

/**
 * Yields the members of a set: the complete list at once and after every change, until the signal
 * aborts. While its registry is away, a driver keeps its last list. After the iteration ends, the
 * last list stays valid.
 */
export type Membership = (signal: AbortSignal) => AsyncIterable<readonly Member[]>;

/** Returns a member of which only the address is known. */
export function memberAt(address: string): Member {
  return { address, weight: 1, zone: '', isLeaving: false };
}
