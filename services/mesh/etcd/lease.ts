import { Backoff } from '#mesh/async/backoff.ts';
import type { Changes } from '#mesh/async/changes.ts';
import { pause } from '#mesh/async/pause.ts';
import type { Log } from '#mesh/log/log.ts';
import { Outage } from '#mesh/log/outage.ts';
import type { EtcdClient } from './etcd-client.ts';
import { LEASE_TTL_S, LOST_AFTER_MS, PING_INTERVAL_MS, RETRY } from './etcd-timing.ts';

export interface LeaseOptions {
  /** What hangs on the lease, in log lines: "the registration". */
  readonly title: string;
  readonly log: Log;
  /** Told when the lease is granted or lost. */
  readonly changes: Changes;
}

/** The calls of the client that a lease makes. */
export type LeaseClient = Pick<
  EtcdClient,
  'title' | 'clock' | 'grantLease' | 'keepLease' | 'revokeLease'
>;

/**
 * A lease that is kept as long as etcd can be reached, and another one after it was lost. Its holder
 * takes it for lost before etcd does: so it never believes that it has what another has got.
 */
export class Lease {
  readonly #client: LeaseClient;
  readonly #options: LeaseOptions;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  readonly #backoff = new Backoff(RETRY);
  readonly #outage: Outage;
  #id: bigint | undefined;

  constructor(client: LeaseClient, options: LeaseOptions) {
    this.#client = client;
    this.#options = options;
    this.#outage = new Outage(options.log, client.clock);
    this.#running = this.#run();
  }

  /** The lease that is held; undefined while there is none. */
  get id(): bigint | undefined {
    return this.#id;
  }

  /** Ends the lease, and with it all keys on it, if etcd can be reached; else it ends by itself. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    const id = this.#id;
    this.#id = undefined;
    if (id === undefined) return;
    // Nothing is left to be done about a failure: the lease ends after its time to live.
    await this.#client.revokeLease(id, new AbortController().signal).catch(() => {});
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    const { clock, title: registry } = this.#client;
    const { title } = this.#options;
    while (!signal.aborted) {
      try {
        const sentAtMs = clock.now();
        const id = await this.#client.grantLease(LEASE_TTL_S, signal);
        this.#outage.over(`${registry} is there: ${title} has a lease`);
        this.#backoff.reset();
        this.#hold(id);
        await this.#keep(id, sentAtMs);
      } catch (error: unknown) {
        if (signal.aborted) return;
        this.#outage.failed(`${registry} gives no lease: ${title} is not there`, error);
        await pause(this.#backoff.next(), { signal, clock });
      }
    }
  }

  /** Pings until the lease is lost or this closes. */
  async #keep(id: bigint, grantedAtMs: number): Promise<void> {
    const { clock } = this.#client;
    const holding = new AbortController();
    const end = () => holding.abort();
    this.#closing.signal.addEventListener('abort', end);
    let callOff = clock.after(grantedAtMs + LOST_AFTER_MS - clock.now(), end);
    const { signal } = holding;
    let waitMs = PING_INTERVAL_MS;
    let why: unknown = 'it has ended';
    for (;;) {
      await pause(waitMs, { signal, clock });
      if (signal.aborted) break;
      const sentAtMs = clock.now();
      try {
        if (!(await this.#client.keepLease(id, signal))) break;
      } catch (error: unknown) {
        if (signal.aborted) break;
        why = error;
        waitMs = this.#backoff.next();
        continue;
      }
      this.#backoff.reset();
      waitMs = PING_INTERVAL_MS;
      callOff();
      callOff = clock.after(sentAtMs + LOST_AFTER_MS - clock.now(), end);
    }
    callOff();
    this.#closing.signal.removeEventListener('abort', end);
    if (this.#closing.signal.aborted) return;
    this.#hold(undefined);
    this.#outage.failed(`${this.#options.title} has lost its lease`, why);
  }

  #hold(id: bigint | undefined): void {
    this.#id = id;
    this.#options.changes.notify();
  }
}
