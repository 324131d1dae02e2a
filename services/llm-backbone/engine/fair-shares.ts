import assert from 'node:assert/strict';

interface Share {
  numSequences: number;
  /** Tokens computed for the client, counted from the level at which it came. */
  numTokens: number;
}

/**
 * Counts the tokens that each client has got, so that the one that got least comes next (Virtual
 * Token Counter, Sheng et al. 2024). A client is known while it has sequences. One that comes
 * starts level with the least served of the others: it saves nothing up while it is away.
 */
export class FairShares {
  readonly #shares = new Map<string, Share>();

  /** Counts a sequence of a client. */
  join(client: string): void {
    const share = this.#shares.get(client);
    if (share !== undefined) {
      share.numSequences++;
      return;
    }
    const levels = [...this.#shares.values()].map(({ numTokens }) => numTokens);
    const numTokens = levels.length === 0 ? 0 : Math.min(...levels);
    this.#shares.set(client, { numSequences: 1, numTokens });
  }

  /** Ends the counting of a sequence. */
  leave(client: string): void {
    const share = this.#shares.get(client);
    assert(share !== undefined, 'a client leaves that has no sequences');
    share.numSequences--;
    if (share.numSequences === 0) this.#shares.delete(client);
  }

  charge(client: string, numTokens: number): void {
    const share = this.#shares.get(client);
    if (share !== undefined) share.numTokens += numTokens;
  }

  /** Returns the tokens that count as served to a client. */
  servedTo(client: string): number {
    return this.#shares.get(client)?.numTokens ?? 0;
  }

  /** Number of clients that have sequences. */
  get numClients(): number {
    return this.#shares.size;
  }
}
