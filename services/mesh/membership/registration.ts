import { Backoff } from '#mesh/async/backoff.ts';
import { Changes } from '#mesh/async/changes.ts';
import type { Clock } from '#mesh/async/clock.ts';
import { EtcdClient } from '#mesh/etcd/etcd-client.ts';
import { RETRY } from '#mesh/etcd/etcd-timing.ts';
import { Lease } from '#mesh/etcd/lease.ts';
import type { Log } from '#mesh/log/log.ts';
import { Outage } from '#mesh/log/outage.ts';
import type { EtcdRegistry } from '#mesh/registry-url.ts';

/**
 * Milliseconds between two looks whether the entry is still there: whoever deletes it, by hand or by
 * bringing back older data, may leave its lease alone.
 */
const LOOK_INTERVAL_MS = 5000;

export interface RegistrationOptions {
  readonly registry: EtcdRegistry;
  /** Key of this run of the process, which no other has. */
  readonly key: string;
  /** Returns what the key is to hold; undefined if others must not find the process. */
  readonly value: () => string | undefined;
  /** Changes after which `value` is asked again. */
  readonly changes: Changes;
  readonly log: Log;
  readonly clock: Clock;
}

/** A value in etcd, and the lease that it is on. */
interface Written {
  readonly value: string;
  readonly lease: bigint;
}

/**
 * The entry of this process in etcd. It is written when the process can be asked, on a lease, anew
 * when it changes or the lease was lost, and deleted at once when the process must not be asked any
 * more.
 */
export class Registration {
  readonly #options: RegistrationOptions;
  readonly #client: EtcdClient;
  readonly #lease: Lease;
  readonly #closing = new AbortController();
  readonly #running: Promise<unknown>;
  readonly #backoff = new Backoff(RETRY);
  readonly #outage: Outage;
  /** Changes of the value and of the lease. */
  readonly #wakes = new Changes();
  #written: Written | undefined;
  /** When to look for what is written, clock time. */
  #lookAtMs = 0;

  constructor(options: RegistrationOptions) {
    const { registry, log, clock } = options;
    this.#options = options;
    this.#client = new EtcdClient(registry, clock);
    this.#outage = new Outage(log, clock);
    this.#lease = new Lease(this.#client, {
      title: 'the registration of this process',
      log,
      changes: this.#wakes,
    });
    this.#running = Promise.all([this.#followValue(), this.#run()]);
  }

  /** Whether etcd has granted a lease and has answered lately. */
  get hasLease(): boolean {
    return this.#lease.id !== undefined;
  }

  /** Takes the process out of etcd, if that can be reached. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    await this.#lease.close();
    this.#client.close();
  }

  async #followValue(): Promise<void> {
    const { changes } = this.#options;
    const { signal } = this.#closing;
    let seen = changes.count;
    while (!signal.aborted) {
      await changes.after(seen, { signal });
      seen = changes.count;
      this.#wakes.notify();
    }
  }

  /** Brings what is written in line with what should be, after every change and failure. */
  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const seen = this.#wakes.count;
      let limitMs = LOOK_INTERVAL_MS;
      try {
        await this.#noteDeletion(signal);
        await this.#write(signal);
        this.#backoff.reset();
      } catch (error: unknown) {
        if (signal.aborted) return;
        this.#outage.failed('this process cannot be registered', error);
        limitMs = this.#backoff.next();
      }
      await this.#wakes.after(seen, { signal, clock, limitMs });
    }
  }

  /** Forgets what was written if it is time to look and the entry is gone. */
  async #noteDeletion(signal: AbortSignal): Promise<void> {
    const { key, clock, log } = this.#options;
    const written = this.#written;
    if (written === undefined || written.lease !== this.#lease.id) return;
    if (clock.now() < this.#lookAtMs) return;
    const { keys } = await this.#client.list(key, signal);
    this.#lookAtMs = clock.now() + LOOK_INTERVAL_MS;
    if (keys.some((one) => one.key.toString() === key)) return;
    log.warn(`the entry of this process was deleted from ${this.#client.title}`);
    this.#written = undefined;
  }

  async #write(signal: AbortSignal): Promise<void> {
    const { key, value, log } = this.#options;
    const [wanted, lease] = [value(), this.#lease.id];
    if (wanted === undefined) {
      if (this.#written === undefined) return;
      await this.#client.delete(key, signal);
      this.#written = undefined;
      log.info(`no longer registered in ${this.#client.title}`);
    } else if (lease !== undefined && !isWritten(this.#written, { value: wanted, lease })) {
      const isSaid = this.#written?.lease === lease;
      await this.#client.put({ key, value: wanted, lease }, signal);
      this.#written = { value: wanted, lease };
      this.#lookAtMs = this.#options.clock.now() + LOOK_INTERVAL_MS;
      this.#outage.over('this process can be registered again');
      if (!isSaid) log.info(`registered in ${this.#client.title}`);
    }
  }
}

function isWritten(written: Written | undefined, wanted: Written): boolean {
  return written?.value === wanted.value && written.lease === wanted.lease;
}
