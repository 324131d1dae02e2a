import type { TestContext } from 'node:test';
import type { Member, Membership } from '#mesh/peers/membership.ts';
import { within } from '#test/bounded.ts';

/** A membership that a test follows until it ends. */
export interface Followed {
  /** All lists so far. */
  readonly lists: readonly (readonly Member[])[];
  /** Addresses of the last list; undefined before the first. */
  readonly addresses: () => readonly string[] | undefined;
  /** Resolves when the last list has exactly these addresses, in any order. */
  readonly until: (wanted: readonly string[], boundMs?: number) => Promise<void>;
}

/** `furtherTrace` returns what a message about a late list shows besides the lists. */
export function follow(
  test: TestContext,
  membership: Membership,
  furtherTrace: () => readonly string[] = () => [],
): Followed {
  const following = new AbortController();
  const lists: (readonly Member[])[] = [];
  let wake = () => {};
  const running = (async () => {
    for await (const list of membership(following.signal)) {
      lists.push(list);
      wake();
    }
  })();
  test.after(async () => {
    following.abort();
    await running;
  });
  const addresses = () => lists.at(-1)?.map(({ address }) => address);
  const reached = async (wanted: readonly string[]) => {
    const text = JSON.stringify([...wanted].sort());
    while (JSON.stringify(addresses()?.sort()) !== text) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const trace = () => [...lists.map((list) => JSON.stringify(list)), ...furtherTrace()];
  return {
    lists,
    addresses,
    until: (wanted, boundMs = 10_000) =>
      within(reached(wanted), { what: `the list "${wanted.join(', ')}"`, boundMs, trace }),
  };
}
