import { Backoff } from '#mesh/async/backoff.ts';
import { Changes } from '#mesh/async/changes.ts';
import type { Clock } from '#mesh/async/clock.ts';
import { MeshError } from '#mesh/errors.ts';
import { EtcdClient } from '#mesh/etcd/etcd-client.ts';
import { RETRY } from '#mesh/etcd/etcd-timing.ts';
import { keyBytes } from '#mesh/etcd/keys.ts';
import { Lease } from '#mesh/etcd/lease.ts';
import { PrefixView } from '#mesh/etcd/prefix-view.ts';
import type { Log } from '#mesh/log/log.ts';
import { Outage } from '#mesh/log/outage.ts';
import type { EtcdRegistry } from '#mesh/registry-url.ts';
import {
  type Compare,
  Compare_CompareResult as CompareResult,
  Compare_CompareTarget as CompareTarget,
  type RequestOp,
} from '#protos/etcd/api/etcdserverpb/rpc.ts';

/** The time for which this process holds a role. */
export interface Term {
  /** Aborts when the role is lost, before another process can get it. */
  readonly signal: AbortSignal;
  /** Revision at which the role was taken; it grows from holder to holder. */
  readonly revision: bigint;
  /**
   * Makes changes in etcd, all of them or none; refused with NO_READY_ENDPOINT if the role is no
   * longer this process's. So a holder that was stopped and wakes up late changes nothing.
   */
  change(changes: RequestOp[]): Promise<void>;
}

export interface ElectionOptions {
  readonly registry: EtcdRegistry;
  /** Name of the role. */
  readonly role: string;
  /** Name of this process, which others see. */
  readonly candidate: string;
  /** Does the work of the role until the term's signal aborts. What must outlive it is in etcd. */
  readonly hold: (term: Term) => Promise<void>;
  readonly log: Log;
  readonly clock: Clock;
}

/**
 * Lets one process of a mesh hold a role at a time. The holder's key is on its lease: if it dies or
 * is cut off, another takes over.
 */
export class Election {
  readonly #options: ElectionOptions;
  readonly #key: string;
  readonly #client: EtcdClient;
  readonly #changes = new Changes();
  readonly #lease: Lease;
  readonly #view: PrefixView;
  readonly #closing = new AbortController();
  readonly #running: Promise<unknown>;
  readonly #backoff = new Backoff(RETRY);
  readonly #outage: Outage;

  constructor(options: ElectionOptions) {
    const { registry, role, log, clock } = options;
    const title = `the role ${role}`;
    this.#options = options;
    this.#key = `${registry.prefix}/roles/${role}`;
    this.#client = new EtcdClient(registry, clock);
    this.#outage = new Outage(log, clock);
    this.#lease = new Lease(this.#client, { title, log, changes: this.#changes });
    this.#view = new PrefixView(this.#client, { prefix: this.#key, title, log });
    this.#running = Promise.all([this.#followView(), this.#run()]);
  }

  /** Ends the term, if there is one, and gives the role up. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    await this.#view.close();
    await this.#lease.close();
    this.#client.close();
  }

  /** Name of the process that holds the role, as far as this one knows. */
  get holder(): string | undefined {
    return this.#holding()?.value.toString();
  }

  #holding() {
    return this.#view.keys.find(({ key }) => key.toString() === this.#key);
  }

  async #followView(): Promise<void> {
    const { signal } = this.#closing;
    let seen = 0;
    while (!signal.aborted) {
      await this.#view.changes.after(seen, { signal });
      seen = this.#view.changes.count;
      this.#changes.notify();
    }
  }

  async #run(): Promise<void> {
    const { role, clock } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const seen = this.#changes.count;
      const lease = this.#lease.id;
      let limit = {};
      if (lease !== undefined && this.#view.isListed && this.#holding() === undefined) {
        try {
          const revision = await this.#take(lease, signal);
          this.#backoff.reset();
          this.#outage.over(`the role ${role} can be taken again`);
          if (revision !== undefined) await this.#serve(lease, revision);
        } catch (error: unknown) {
          if (signal.aborted) return;
          this.#outage.failed(`the role ${role} cannot be taken`, error);
          limit = { limitMs: this.#backoff.next() };
        }
      }
      await this.#changes.after(seen, { signal, clock, ...limit });
    }
  }

  /** Takes the role if nobody has it; returns the revision at which it did, or else undefined. */
  async #take(lease: bigint, signal: AbortSignal): Promise<bigint | undefined> {
    const value = Buffer.from(this.#options.candidate);
    const put = { key: keyBytes(this.#key), value, lease };
    const { succeeded, header } = await this.#client.transact(
      {
        compare: [this.#createdAt(0n)],
        success: [{ request: { $case: 'requestPut', value: put } }],
      },
      signal,
    );
    return succeeded ? header?.revision : undefined;
  }

  /** Does the work for as long as the role is held. */
  async #serve(lease: bigint, revision: bigint): Promise<void> {
    const { role, hold, log } = this.#options;
    const term = new AbortController();
    log.info(`this process holds the role ${role} from revision ${revision} on`);
    const watching = this.#watchTerm({ lease, revision }, term);
    const change = (changes: RequestOp[]) => this.#changeAt(revision, changes, term.signal);
    try {
      await hold({ signal: term.signal, revision, change });
    } catch (error: unknown) {
      if (!term.signal.aborted) log.error({ err: error }, `the work of the role ${role} failed`);
    }
    await watching;
    log.info(`this process no longer holds the role ${role}`);
  }

  /** Ends a term when its lease is lost, its key is another's, or this closes. */
  async #watchTerm(
    { lease, revision }: { readonly lease: bigint; readonly revision: bigint },
    term: AbortController,
  ): Promise<void> {
    const { signal } = this.#closing;
    for (;;) {
      const seen = this.#changes.count;
      // The view may be older than the taking of the role.
      const isKnown = this.#view.revision >= revision;
      const isLost = isKnown && this.#holding()?.createRevision !== revision;
      if (signal.aborted || this.#lease.id !== lease || isLost) break;
      await this.#changes.after(seen, { signal });
    }
    term.abort();
  }

  async #changeAt(revision: bigint, changes: RequestOp[], signal: AbortSignal): Promise<void> {
    const fenced = { compare: [this.#createdAt(revision)], success: changes };
    const { succeeded } = await this.#client.transact(fenced, signal);
    if (succeeded) return;
    const message = `the role ${this.#options.role} was taken by another process`;
    throw new MeshError('NO_READY_ENDPOINT', message);
  }

  /** A comparison that holds if the role was taken at a revision; 0: if nobody has it. */
  #createdAt(revision: bigint): Compare {
    return {
      result: CompareResult.EQUAL,
      target: CompareTarget.CREATE,
      key: keyBytes(this.#key),
      targetUnion: { $case: 'createRevision', value: revision },
    };
  }
}
