/** Time to live of a process's lease, seconds: what a process that died is still listed for. */
export const LEASE_TTL_S = 3;

/** Milliseconds between two signs of life: of a lease's holder, and of a watch. */
export const PING_INTERVAL_MS = 1000;

/** Longest wait for the answer to one call, milliseconds. */
export const CALL_LIMIT_MS = (LEASE_TTL_S * 1000) / 3;

/**
 * Milliseconds since the sending of the last ping that was answered, after which a holder takes its
 * lease for lost. The server counts from when it received that ping, so it is never sooner.
 */
export const LOST_AFTER_MS = 0.8 * LEASE_TTL_S * 1000;

/** Waits between two attempts to reach etcd, milliseconds. */
export const RETRY = { minMs: 50, maxMs: 500 };

/**
 * Milliseconds for which keys stay in a view that were in it before an outage and are not in etcd
 * after it: their holders need as long as a late call and a wait to come back, too.
 */
export const RETURN_LIMIT_MS = CALL_LIMIT_MS + RETRY.maxMs;
