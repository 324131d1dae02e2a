import type { Ejection } from '#mesh/balance/ejection.ts';
import type { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import type { AskedPeer, AttemptEnd } from './turn.ts';

export interface PeerFaultsOptions {
  readonly ejection: Ejection;
  /** Name of the kind of peer in log lines. */
  readonly title: string;
  readonly log: Log;
}

/** Counts how peers fail, so that an ejection takes those out that do so repeatedly. */
export class PeerFaults {
  readonly #options: PeerFaultsOptions;
  /** Runs of processes that were lost, so that a loss counts once whatever it broke off. */
  readonly #lost = new WeakMap<AskedPeer, number>();

  constructor(options: PeerFaultsOptions) {
    this.#options = options;
  }

  /** Notes how a peer's turn ended. */
  ended(peer: AskedPeer, { failure }: AttemptEnd): void {
    if (failure === undefined || !isFault(failure)) return;
    const { address, life } = peer;
    if (hasDied(failure)) {
      if (this.#lost.get(peer) === life) return;
      this.#lost.set(peer, life);
    }
    const { ejection, title, log } = this.#options;
    if (!ejection.failed(address)) return;
    log.warn(`${title} ${address} fails repeatedly and is left out: ${failure.message}`);
  }
}

/** Tells whether a peer failed because it was lost, or is about to be: its engine is dead. */
export function hasDied({ isPeerLost, reason }: MeshError): boolean {
  return isPeerLost || reason === 'ENGINE_DEAD';
}

/** Tells whether a failure is a peer's own, not that of a request or of too much work. */
export function isFault(error: MeshError): boolean {
  const { reason } = error;
  return hasDied(error) || reason === 'ENGINE_FAILED' || reason === 'NO_READY_ENDPOINT';
}
