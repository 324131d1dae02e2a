import { NginxBalancer } from '#mesh/balance/nginx-balancer.ts';
import { isFault } from '#mesh/peers/peer-faults.ts';
import type { AttemptEnd } from '#mesh/peers/turn.ts';
import type { BackbonePeer } from './backbone-peer.ts';
import type { Balancing, BalancingOptions } from './balancing.ts';

/**
 * Fewest requests, exactly as nginx's `least_conn` with `max_fails` and `fail_timeout`, which counts
 * an answer that broke off after its beginning as good.
 */
export class LeastConnBalancing implements Balancing {
  readonly #balancer: NginxBalancer;
  readonly #endpoints: BalancingOptions['endpoints'];

  constructor({ maxFails, failTimeoutMs, clock, endpoints }: BalancingOptions) {
    const failTimeoutS = Math.ceil(failTimeoutMs / 1000);
    this.#balancer = new NginxBalancer({ maxFails, failTimeoutS, clock });
    this.#endpoints = endpoints;
  }

  pick(
    candidates: readonly BackbonePeer[],
    serving: readonly BackbonePeer[],
  ): BackbonePeer | undefined {
    this.#balancer.keep(new Set(this.#endpoints().map(({ address }) => address)));
    const open = new Set(candidates);
    const tried = serving.filter((one) => !open.has(one)).map(({ address }) => address);
    const servers = serving.map(({ address, member }) => {
      return { address, weight: Math.max(1, Math.round(member.weight)) };
    });
    const picked = this.#balancer.pick(servers, new Set(tried));
    return candidates.find(({ address }) => address === picked);
  }

  isOut(address: string): boolean {
    return this.#balancer.isOut(address);
  }

  /** nginx learns from the end of a request alone. */
  progressed(): void {}

  ended({ address }: BackbonePeer, { failure, hasProgress }: AttemptEnd): void {
    const isFailed = failure !== undefined && !hasProgress && isFault(failure);
    this.#balancer.release(address, isFailed);
  }

  close(): void {}
}
