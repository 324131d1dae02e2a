/**
 * Yields the addresses that belong to a set: the complete list at once and after every change,
 * until the signal aborts. While its registry is away, a driver keeps its last list. After the
 * iteration ends, the last list stays valid.
 */
export type Membership = (signal: AbortSignal) => AsyncIterable<readonly string[]>;
