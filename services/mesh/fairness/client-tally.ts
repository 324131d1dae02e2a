/** Share of the whole that a client which has as much itself cannot take. */
const KEPT_SHARE = 1 / 8;

/** An amount that a client wants more. */
export interface Wish {
  readonly client: string;
  readonly amount: number;
}

/** Amounts that clients hold: places, bytes. */
export class ClientTally {
  readonly #ofClient = new Map<string, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  of(client: string): number {
    return this.#ofClient.get(client) ?? 0;
  }

  /** Adds to what a client holds, or takes away from it. */
  add(client: string, amount: number): void {
    const held = this.of(client) + amount;
    this.#total += amount;
    if (held === 0) this.#ofClient.delete(client);
    else this.#ofClient.set(client, held);
  }

  /** Tells whether a wish reaches into the last of `max`, which is kept for who holds little. */
  isKept({ client, amount }: Wish, max: number): boolean {
    const kept = keptOf(max);
    return kept > 0 && this.of(client) + amount > kept && this.#total + amount > max - kept;
  }
}

/** Returns how much of `max` is kept for clients that hold little. */
export function keptOf(max: number): number {
  return Math.floor(max * KEPT_SHARE);
}
