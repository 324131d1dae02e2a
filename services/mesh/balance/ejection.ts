import type { Clock } from '#mesh/async/clock.ts';

export interface EjectionOptions {
  /** Failures within the timeout after which a replica is taken out; 0: never. */
  readonly maxFails: number;
  /** Milliseconds that failures count, and after which a request tries a replica that is out. */
  readonly failTimeoutMs: number;
  readonly clock: Pick<Clock, 'now'>;
}

interface Replica {
  /** Times of its failures within the timeout. */
  failedMs: number[];
  /** Time since which it is out. */
  outSinceMs: number | undefined;
  /** Time of the last request that was to try it. */
  triedMs: number;
}

/**
 * Takes replicas out of service that fail repeatedly within a sliding window, as nginx does with
 * `max_fails` and `fail_timeout`, but in milliseconds. One success readmits a replica: of a probe,
 * or of the one request that tries it when the timeout has passed. If more than half of the replicas
 * are out, the fault is probably not theirs, and all are asked.
 */
export class Ejection {
  readonly #options: EjectionOptions;
  readonly #replicas = new Map<string, Replica>();

  constructor(options: EjectionOptions) {
    this.#options = options;
  }

  /** Returns those of the replicas that may be asked. */
  inService<R extends { readonly address: string }>(replicas: readonly R[]): readonly R[] {
    if (this.#replicas.size === 0) return replicas;
    const inService = replicas.filter(({ address }) => !this.isOut(address));
    const isPanic = inService.length * 2 < replicas.length;
    return isPanic ? replicas : inService;
  }

  /** Returns those of some candidates that may be asked, judged among all replicas. */
  inServiceOf<R extends { readonly address: string }>(
    candidates: readonly R[],
    replicas: readonly R[],
  ): readonly R[] {
    const inService = this.inService(replicas);
    if (inService === replicas) return candidates;
    const set = new Set(inService);
    return candidates.filter((one) => set.has(one));
  }

  /** Returns the same, but all candidates if none of them may be: better they than nobody. */
  firstChoice<R extends { readonly address: string }>(
    candidates: readonly R[],
    replicas: readonly R[],
  ): readonly R[] {
    const inService = this.inServiceOf(candidates, replicas);
    return inService.length > 0 ? inService : candidates;
  }

  /** Tells whether a replica is out and not due for a try. */
  isOut(address: string): boolean {
    const replica = this.#replicas.get(address);
    if (replica?.outSinceMs === undefined) return false;
    const lastMs = Math.max(replica.outSinceMs, replica.triedMs);
    return this.#options.clock.now() - lastMs <= this.#options.failTimeoutMs;
  }

  /** Notes that a request is sent to a replica. */
  begun(address: string): void {
    const replica = this.#replicas.get(address);
    if (replica?.outSinceMs !== undefined) replica.triedMs = this.#options.clock.now();
  }

  succeeded(address: string): void {
    if (this.#replicas.get(address)?.outSinceMs !== undefined) this.#replicas.delete(address);
  }

  /** Returns whether this failure has taken the replica out. */
  failed(address: string): boolean {
    const { maxFails, failTimeoutMs, clock } = this.#options;
    if (maxFails === 0) return false;
    const nowMs = clock.now();
    const known = this.#replicas.get(address);
    const replica = known ?? { failedMs: [], outSinceMs: undefined, triedMs: -Infinity };
    this.#replicas.set(address, replica);
    const wasOut = replica.outSinceMs !== undefined;
    replica.failedMs = replica.failedMs.filter((ms) => nowMs - ms < failTimeoutMs);
    replica.failedMs.push(nowMs);
    if (wasOut || replica.failedMs.length >= maxFails) replica.outSinceMs = nowMs;
    return !wasOut && replica.outSinceMs !== undefined;
  }

  /** Forgets replicas that are no longer members. */
  keep(addresses: ReadonlySet<string>): void {
    for (const address of this.#replicas.keys()) {
      if (!addresses.has(address)) this.#replicas.delete(address);
    }
  }
}
