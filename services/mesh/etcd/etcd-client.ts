import type { Clock } from '#mesh/async/clock.ts';
import { withDeadline } from '#mesh/async/deadline.ts';
import { MeshError } from '#mesh/errors.ts';
import { type EtcdRegistry, registryTitle } from '#mesh/registry-url.ts';
import type { TxnResponse } from '#protos/etcd/api/etcdserverpb/rpc.ts';
import { TxnRequest } from '#protos/etcd/api/etcdserverpb/rpc.ts';
import type { KeyValue } from '#protos/etcd/api/mvccpb/kv.ts';
import { type EtcdCall, EtcdConnection } from './etcd-connection.ts';
import { CALL_LIMIT_MS } from './etcd-timing.ts';
import { keyBytes, prefixEnd } from './keys.ts';

/** All keys with a prefix at one revision. */
export interface Listing {
  readonly revision: bigint;
  readonly keys: readonly KeyValue[];
}

/** One call to a member of the cluster. */
export type EtcdWork<T> = (connection: EtcdConnection, call: EtcdCall) => Promise<T>;

/**
 * Calls an etcd cluster, one member at a time: after a failure the next one, on a connection of its
 * own. A call that is not answered in time counts as failed. It repeats nothing; its callers know
 * what may be repeated, and when.
 */
export class EtcdClient {
  /** Name of the cluster in messages. */
  readonly title: string;
  readonly clock: Clock;
  readonly #registry: EtcdRegistry;
  #connection: EtcdConnection;
  #turn: number;

  constructor(registry: EtcdRegistry, clock: Clock) {
    this.title = registryTitle(registry);
    this.clock = clock;
    this.#registry = registry;
    // Processes spread over the members.
    this.#turn = Math.floor(Math.random() * registry.endpoints.length);
    this.#connection = this.#connect();
  }

  /** Lists the keys with a prefix. */
  list(prefix: string, signal: AbortSignal): Promise<Listing> {
    return this.call(async ({ kv }, call) => {
      const range = { key: keyBytes(prefix), rangeEnd: prefixEnd(prefix) };
      const { header, kvs } = await kv.range(range, call);
      return { revision: header?.revision ?? 0n, keys: kvs };
    }, signal);
  }

  /** Writes a key that ends with a lease. */
  async put(
    { key, value, lease }: { readonly key: string; readonly value: string; readonly lease: bigint },
    signal: AbortSignal,
  ): Promise<void> {
    const put = { key: keyBytes(key), value: Buffer.from(value), lease };
    await this.call(({ kv }, call) => kv.put(put, call), signal);
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    await this.call(({ kv }, call) => kv.deleteRange({ key: keyBytes(key) }, call), signal);
  }

  /** Makes changes if all of its comparisons hold. */
  transact(request: Parameters<typeof TxnRequest.create>[0], signal: AbortSignal) {
    const transaction = TxnRequest.create(request);
    return this.call<TxnResponse>(({ kv }, call) => kv.txn(transaction, call), signal);
  }

  /** Returns the id of a lease. */
  grantLease(ttlS: number, signal: AbortSignal): Promise<bigint> {
    return this.call(async ({ lease }, call) => {
      const { ID } = await lease.leaseGrant({ TTL: BigInt(ttlS) }, call);
      return ID;
    }, signal);
  }

  /** Keeps a lease for another time to live; resolves to false if there is no such lease. */
  keepLease(id: bigint, signal: AbortSignal): Promise<boolean> {
    return this.call(async ({ lease }, call) => {
      const pings = (async function* () {
        yield { ID: id };
      })();
      for await (const { TTL } of lease.leaseKeepAlive(pings, call)) return TTL > 0n;
      throw new MeshError('NO_READY_ENDPOINT', 'etcd ended a ping without an answer');
    }, signal);
  }

  /** Ends a lease and all keys on it. */
  async revokeLease(id: bigint, signal: AbortSignal): Promise<void> {
    await this.call(({ lease }, call) => lease.leaseRevoke({ ID: id }, call), signal);
  }

  /** Makes one call within its time. */
  async call<T>(work: EtcdWork<T>, signal: AbortSignal): Promise<T> {
    const connection = this.#connection;
    const late = () => {
      const why = `etcd at ${connection.endpoint} has not answered within ${CALL_LIMIT_MS / 1000} s`;
      return new MeshError('DEADLINE_EXCEEDED', why);
    };
    const run = async (within: AbortSignal) => work(connection, await connection.callWith(within));
    try {
      return await withDeadline(run, { signal, limitMs: CALL_LIMIT_MS, clock: this.clock, late });
    } catch (error: unknown) {
      if (!signal.aborted && !isAnswer(error)) this.leave(connection);
      throw error;
    }
  }

  /** The member that is asked next. */
  get connection(): EtcdConnection {
    return this.#connection;
  }

  /** Goes on to the next member, unless that was done since this connection failed. */
  leave(failed: EtcdConnection): void {
    if (failed !== this.#connection) return;
    failed.close();
    this.#turn += 1;
    this.#connection = this.#connect();
  }

  close(): void {
    this.#connection.close();
  }

  #connect(): EtcdConnection {
    const { endpoints } = this.#registry;
    return new EtcdConnection(endpoints[this.#turn % endpoints.length] ?? '', this.#registry);
  }
}

/** Tells whether a failure is what a member says, which another would say too. */
function isAnswer(error: unknown): boolean {
  return error instanceof MeshError && error.reason === 'NOT_FOUND';
}
