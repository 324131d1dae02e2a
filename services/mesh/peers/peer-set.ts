import type { Log } from '#mesh/log/log.ts';
import type { Membership } from './membership.ts';

/** The part of a peer that its set needs. */
export interface Member {
  readonly address: string;
  readonly isReady: boolean;
  /** Takes no new work; closes when the running work has ended. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

export interface PeerSetOptions<P> {
  readonly membership: Membership;
  readonly open: (address: string) => P;
  readonly log: Log;
  /** Called when the members have changed. */
  readonly onChange?: () => void;
}

/** The peers of one kind, one for each address that the membership names. */
export class PeerSet<P extends Member> {
  readonly #options: PeerSetOptions<P>;
  readonly #closing = new AbortController();
  readonly #following: Promise<void>;
  readonly #leaving = new Map<P, Promise<void>>();
  #peers: readonly P[] = [];

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
      for await (const addresses of membership(this.#closing.signal)) this.#apply(addresses);
    } catch (err: unknown) {
      if (this.#closing.signal.aborted) return;
      log.error({ err }, 'the membership is no longer followed; its last list stands');
    }
  }

  #apply(addresses: readonly string[]): void {
    const known = new Map(this.#peers.map((peer) => [peer.address, peer]));
    this.#peers = addresses.map((address) => known.get(address) ?? this.#options.open(address));
    for (const address of addresses) known.delete(address);
    for (const peer of known.values()) {
      this.#leaving.set(
        peer,
        peer.leave().finally(() => this.#leaving.delete(peer)),
      );
    }
    this.#options.onChange?.();
  }
}
