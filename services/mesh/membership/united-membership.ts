import { Changes } from '#mesh/async/changes.ts';
import type { Member, Membership } from '#mesh/peers/membership.ts';

/**
 * Yields the members of several sets as one, as far as they are known. Of members with one address
 * the first set's counts.
 */
export function unitedMembership(memberships: readonly Membership[]): Membership {
  return async function* members(signal) {
    const lists = new Map<Membership, readonly Member[]>();
    const changes = new Changes();
    const follow = async (membership: Membership) => {
      for await (const list of membership(signal)) {
        lists.set(membership, list);
        changes.notify();
      }
    };
    const failures: unknown[] = [];
    for (const membership of memberships) {
      follow(membership).catch((error: unknown) => {
        failures.push(error);
        changes.notify();
      });
    }
    let seen = 0;
    for (;;) {
      await changes.after(seen, { signal });
      if (signal.aborted) return;
      if (failures.length > 0) throw failures[0];
      seen = changes.count;
      yield united(memberships, lists);
    }
  };
}

function united(
  memberships: readonly Membership[],
  lists: ReadonlyMap<Membership, readonly Member[]>,
): readonly Member[] {
  const byAddress = new Map<string, Member>();
  for (const member of memberships.flatMap((one) => lists.get(one) ?? [])) {
    if (!byAddress.has(member.address)) byAddress.set(member.address, member);
  }
  return [...byAddress.values()];
}
