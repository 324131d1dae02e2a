import { type Membership, memberAt } from '#mesh/peers/membership.ts';

/** Yields the addresses of a configuration, each once; they never change. */
export function staticMembership(addresses: readonly string[]): Membership {
  return async function* members() {
    yield [...new Set(addresses)].map(memberAt);
  };
}
