/** Way of bytes through a proxy. */
export type Direction = 'to server' | 'to client';

/** What a proxy does to the connections through it, until it is told otherwise. */
export type LinkFault =
  /** Nothing. */
  | { readonly kind: 'pass' }
  /** Every byte comes later, by `delayMs` and a random part of `jitterMs`. */
  | { readonly kind: 'latency'; readonly delayMs: number; readonly jitterMs: number }
  /** Each direction of a connection carries at most so much. */
  | { readonly kind: 'bandwidth'; readonly bytesPerS: number }
  /** Bytes and ends are swallowed and sockets stay open; without a direction in both. */
  | { readonly kind: 'black hole'; readonly direction?: Direction }
  /** Nothing passes; what comes meanwhile passes afterwards, as after a partition that TCP outlives. */
  | { readonly kind: 'hold' }
  /** A connection is closed after so many more bytes in a direction. */
  | { readonly kind: 'truncate'; readonly numBytes: number; readonly direction: Direction }
  /** New connections are refused; those that are open stay. */
  | { readonly kind: 'refuse' };

export const PASS: LinkFault = { kind: 'pass' };
