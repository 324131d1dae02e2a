import { Ejection } from '#mesh/balance/ejection.ts';
import { LeastWorkPicker } from '#mesh/balance/least-work-picker.ts';
import { PeerFaults } from '#mesh/peers/peer-faults.ts';
import type { AttemptEnd } from '#mesh/peers/turn.ts';
import type { BackbonePeer } from './backbone-peer.ts';
import type { Balancing, BalancingOptions } from './balancing.ts';
import { Prober } from './prober.ts';
import type { RequestProfile } from './request-profile.ts';

/** Least outstanding work, bounded affinity of prefixes, and ejection of endpoints that fail. */
export class LeastWorkBalancing implements Balancing {
  readonly #ejection: Ejection;
  readonly #picker: LeastWorkPicker;
  readonly #prober: Prober;
  readonly #faults: PeerFaults;

  constructor(options: BalancingOptions) {
    this.#ejection = new Ejection(options);
    this.#picker = new LeastWorkPicker({ ejection: this.#ejection, random: Math.random });
    this.#prober = new Prober({ ...options, ejection: this.#ejection });
    const { log } = options;
    this.#faults = new PeerFaults({ ejection: this.#ejection, title: 'LLM backbone', log });
  }

  close(): void {
    this.#prober.close();
  }

  pick(
    candidates: readonly BackbonePeer[],
    serving: readonly BackbonePeer[],
    profile: RequestProfile,
  ): BackbonePeer | undefined {
    return this.#picker.pick(candidates, serving, profile);
  }

  isOut(address: string): boolean {
    return this.#ejection.isOut(address);
  }

  progressed({ address }: BackbonePeer): void {
    this.#ejection.succeeded(address);
  }

  ended(peer: BackbonePeer, end: AttemptEnd): void {
    this.#faults.ended(peer, end);
  }
}
