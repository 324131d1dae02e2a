import { Backoff } from '#mesh/async/backoff.ts';
import { Changes } from '#mesh/async/changes.ts';
import { pause } from '#mesh/async/pause.ts';
import type { Log } from '#mesh/log/log.ts';
import { Outage } from '#mesh/log/outage.ts';
import {
  type Event,
  Event_EventType as EventType,
  type KeyValue,
} from '#protos/etcd/api/mvccpb/kv.ts';
import type { EtcdClient } from './etcd-client.ts';
import { RETRY, RETURN_LIMIT_MS } from './etcd-timing.ts';
import { isForgotten, watchPrefix } from './watch.ts';

export interface PrefixViewOptions {
  readonly prefix: string;
  /** What the keys are, in log lines: "the list of llm-backbones". */
  readonly title: string;
  readonly log: Log;
}

/**
 * The keys with a prefix, kept up to date: listed at a revision, watched from the next one, and
 * listed anew whenever the watch breaks. While etcd is away the view stays as it is. Keys that went
 * during an outage stay for a moment after it: their holders may be on their way back, too.
 */
export class PrefixView {
  readonly changes = new Changes();
  readonly #client: EtcdClient;
  readonly #options: PrefixViewOptions;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  readonly #backoff = new Backoff(RETRY);
  readonly #outage: Outage;
  readonly #keys = new Map<string, KeyValue>();
  /** Keys that were not in the last listing and may come back, and until when, clock time. */
  readonly #unlisted = new Map<string, number>();
  #isListed = false;
  #revision = 0n;
  #callOff = () => {};

  constructor(client: EtcdClient, options: PrefixViewOptions) {
    this.#client = client;
    this.#options = options;
    this.#outage = new Outage(options.log, client.clock);
    this.#running = this.#run();
  }

  /** Whether the keys have been listed once. */
  get isListed(): boolean {
    return this.#isListed;
  }

  /** Revision of etcd up to which the keys are known; 0 before they have been listed. */
  get revision(): bigint {
    return this.#revision;
  }

  /** The keys, in the order in which they came to be. */
  get keys(): readonly KeyValue[] {
    return [...this.#keys.values()].sort((a, b) => Number(a.createRevision - b.createRevision));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#callOff();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    const { clock, title: registry } = this.#client;
    const { title, log } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#follow(signal);
      } catch (error: unknown) {
        if (signal.aborted) return;
        const what = this.#isListed ? `${title} stays as it was` : `${title} is not known yet`;
        if (isForgotten(error)) log.debug({ err: error }, `${title} is read anew`);
        else this.#outage.failed(`${registry} cannot be followed: ${what}`, error);
      }
      await pause(this.#backoff.next(), { signal, clock });
    }
  }

  /** Lists the keys and follows their changes; throws when that ends. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { prefix, title } = this.#options;
    const { revision, keys } = await this.#client.list(prefix, signal);
    this.#relist(keys, revision);
    this.#outage.over(`${this.#client.title} is there: ${title} is up to date`);
    this.#backoff.reset();
    const start = { prefix, revision: revision + 1n };
    for await (const events of watchPrefix(this.#client, start, signal)) {
      for (const event of events) this.#apply(event);
      this.changes.notify();
    }
  }

  #relist(listed: readonly KeyValue[], revision: bigint): void {
    const { clock } = this.#client;
    const untilMs = clock.now() + RETURN_LIMIT_MS;
    for (const name of this.#keys.keys()) {
      if (!this.#unlisted.has(name)) this.#unlisted.set(name, untilMs);
    }
    for (const key of listed) this.#set(key);
    this.#isListed = true;
    this.#revision = revision;
    this.#dropUnlisted();
    this.changes.notify();
  }

  /** Drops the keys that have not come back in time, and waits for the others. */
  #dropUnlisted(): void {
    const { clock } = this.#client;
    this.#callOff();
    for (const [name, untilMs] of this.#unlisted) {
      if (untilMs <= clock.now()) this.#remove(name);
    }
    if (this.#unlisted.size === 0) return;
    const nextMs = Math.min(...this.#unlisted.values()) - clock.now();
    this.#callOff = clock.after(nextMs, () => {
      this.#dropUnlisted();
      this.changes.notify();
    });
  }

  #apply({ type, kv }: Event): void {
    if (kv === undefined) return;
    if (type === EventType.PUT) this.#set(kv);
    else this.#remove(kv.key.toString());
    this.#revision = kv.modRevision;
  }

  #set(key: KeyValue): void {
    const name = key.key.toString();
    this.#unlisted.delete(name);
    this.#keys.set(name, key);
  }

  #remove(name: string): void {
    this.#unlisted.delete(name);
    this.#keys.delete(name);
  }
}
