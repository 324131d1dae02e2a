import type { Clock } from '#mesh/async/clock.ts';
import type { Log } from '#mesh/log/log.ts';
import type { AttemptObserver } from '#mesh/peers/turn.ts';
import type { BackbonePeer } from './backbone-peer.ts';
import type { RequestProfile } from './request-profile.ts';

export interface BalancingOptions {
  readonly maxFails: number;
  readonly failTimeoutMs: number;
  /** Returns all endpoints, ready or not. */
  readonly endpoints: () => readonly BackbonePeer[];
  readonly clock: Clock;
  readonly log: Log;
}

/** Chooses the endpoints of requests, and learns from how they answer. */
export interface Balancing extends AttemptObserver<BackbonePeer> {
  /**
   * Returns one of the candidates, which are those of `serving` that may be asked; undefined if none
   * is to be.
   */
  pick(
    candidates: readonly BackbonePeer[],
    serving: readonly BackbonePeer[],
    profile: RequestProfile,
  ): BackbonePeer | undefined;
  /** Tells whether an endpoint is left out because it fails repeatedly. */
  isOut(address: string): boolean;
  close(): void;
}
