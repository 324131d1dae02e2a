import { Changes } from '#mesh/async/changes.ts';
import type { Log } from '#mesh/log/log.ts';
import type { Member, Membership } from './membership.ts';

/** The part of a peer that its set needs. */
export interface SetPeer {
  readonly address: string;
  /** What the registry says of it; the set writes it when that changes. */
  member: Member;
  readonly isReady: boolean;
  /** Takes no new work; closes when the running work has ended. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

export interface PeerSetOptions<P> {
  readonly membership: Membership;
  /**
   * Keeps a peer that the membership names no longer for as long as it is ready, since an entry may
   * end although its process lives: it only lost its way to the registry. Unset: false.
   */
  readonly keepsReady?: boolean;
  /** Opens a peer; it calls `onChange` when its readiness or its model has changed. */
  readonly open: (member: Member, onChange: () => void) => P;
  readonly log: Log;
  /** Called when the members, or one of them, have changed. */
  readonly onChange?: () => void;
}

/** The peers of one kind, one for each address that the membership names. */
export class PeerSet<P extends SetPeer> {
  /** Changes of the members and of each of them. */
  readonly changes = new Changes();
  readonly #options: PeerSetOptions<P>;
  readonly #closing = new AbortController();
  readonly #following: Promise<void>;
  readonly #leaving = new Map<P, Promise<void>>();
  #peers: readonly P[] = [];
  /** Those of the peers that the membership names no longer. */
  readonly #unlisted = new Set<P>();

  constructor(options: PeerSetOptions<P>) {
    this.#options = options;
    this.#following = this.#follow();
  }

  /** The peers in the order of the membership. */
  get peers(): readonly P[] {
    return this.#peers;
  }

  get numReady(): number {
    return this.#peers.filter(({ isReady }) => isReady).length;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#following;
    await Promise.all([...this.#peers, ...this.#leaving.keys()].map((peer) => peer.close()));
    await Promise.all(this.#leaving.values());
  }

  async #follow(): Promise<void> {
    const { membership, log } = this.#options;
    try {
      for await (const members of membership(this.#closing.signal)) this.#apply(members);
    } catch (err: unknown) {
      if (this.#closing.signal.aborted) return;
      log.error({ err }, 'the membership is no longer followed; its last list stands');
    }
  }

  #apply(members: readonly Member[]): void {
    const known = new Map(this.#peers.map((peer) => [peer.address, peer]));
    this.#peers = members.map((member) => {
      const peer = known.get(member.address);
      known.delete(member.address);
      if (peer === undefined) return this.#options.open(member, () => this.#changed());
      peer.member = member;
      return peer;
    });
    this.#unlisted.clear();
    for (const peer of known.values()) {
      if (this.#options.keepsReady === true && peer.isReady) this.#unlisted.add(peer);
      else this.#dismiss(peer);
    }
    this.#peers = [...this.#peers, ...this.#unlisted];
    this.#changed();
  }

  #dismiss(peer: P): void {
    const left = peer.leave().finally(() => this.#leaving.delete(peer));
    this.#leaving.set(peer, left);
  }

  #changed(): void {
    const gone = [...this.#unlisted].filter(({ isReady }) => !isReady);
    this.#peers = this.#peers.filter((peer) => !gone.includes(peer));
    for (const peer of gone) {
      this.#unlisted.delete(peer);
      this.#dismiss(peer);
    }
    this.changes.notify();
    this.#options.onChange?.();
  }
}
