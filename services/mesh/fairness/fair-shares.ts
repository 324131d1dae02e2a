import assert from 'node:assert/strict';

interface Share {
  /** Things that the client has here: sequences, items. */
  numHeld: number;
  /** What was spent on the client, counted from the level at which it came. */
  spent: number;
}

/**
 * Counts what is spent on each client, such as tokens or cells, so that the one that got least comes
 * next (Virtual Token Counter, Sheng et al. 2024). A client is known while it has something here. One
 * that comes starts level with the least served of the others: it saves nothing up while it is away.
 */
export class FairShares {
  readonly #shares = new Map<string, Share>();

  /** Counts a thing of a client. */
  join(client: string): void {
    const share = this.#shares.get(client);
    if (share !== undefined) {
      share.numHeld++;
      return;
    }
    const levels = [...this.#shares.values()].map(({ spent }) => spent);
    const spent = levels.length === 0 ? 0 : Math.min(...levels);
    this.#shares.set(client, { numHeld: 1, spent });
  }

  /** Ends the counting of a thing. */
  leave(client: string): void {
    const share = this.#shares.get(client);
    assert(share !== undefined, 'a client leaves that has nothing here');
    share.numHeld--;
    if (share.numHeld === 0) this.#shares.delete(client);
  }

  charge(client: string, amount: number): void {
    const share = this.#shares.get(client);
    if (share !== undefined) share.spent += amount;
  }

  /** Returns what counts as spent on a client. */
  servedTo(client: string): number {
    return this.#shares.get(client)?.spent ?? 0;
  }

  /** Number of clients that have something here. */
  get numClients(): number {
    return this.#shares.size;
  }
}
