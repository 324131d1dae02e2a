/**
 * Says which addresses belong to a set: the complete list at once and after every change, until the
 * signal aborts. A driver goes on with its last list while its registry is away; one that ends has
 * nothing more to say.
 */
export type Membership = (signal: AbortSignal) => AsyncIterable<readonly string[]>;
