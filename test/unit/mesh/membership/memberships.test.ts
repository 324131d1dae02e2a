import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { staticMembership } from '#mesh/membership/static-membership.ts';
import { unitedMembership } from '#mesh/membership/united-membership.ts';
import { type Member, type Membership, memberAt } from '#mesh/peers/membership.ts';

/** Follows a membership until its list has so many members; returns that list. */
async function listOf(membership: Membership, numMembers: number): Promise<readonly Member[]> {
  const following = new AbortController();
  let last: readonly Member[] = [];
  for await (const list of membership(following.signal)) {
    last = list;
    if (list.length === numMembers) following.abort();
  }
  return last;
}

/** A membership that yields a list for each list of addresses, when it is asked for. */
function scripted(...lists: readonly (readonly string[])[]): Membership {
  return async function* members() {
    for (const list of lists) yield list.map(memberAt);
  };
}

describe('staticMembership', () => {
  it('names each configured address once', async () => {
    const list = await listOf(staticMembership(['a', 'b', 'a']), 2);

    assert.deepEqual(list, [memberAt('a'), memberAt('b')]);
  });
});

describe('unitedMembership', () => {
  it('yields the last list of each set, in the order of the sets', async () => {
    const united = unitedMembership([scripted(['a']), scripted(['x'], ['b', 'c'])]);

    const list = await listOf(united, 3);

    assert.deepEqual(list, ['a', 'b', 'c'].map(memberAt));
  });

  it('names an address of two sets once, as the first set has it', async () => {
    const heavy = async function* () {
      yield [{ ...memberAt('a'), weight: 2 }, memberAt('b')];
    };
    const united = unitedMembership([scripted(['a']), heavy]);

    const list = await listOf(united, 2);

    assert.deepEqual(list, ['a', 'b'].map(memberAt));
  });

  it('ends with the failure of one of its sets', async () => {
    const broken = async function* (): AsyncGenerator<readonly Member[]> {
      throw new Error('the registry is no more');
    };

    const list = listOf(unitedMembership([scripted(['a']), broken]), 2);

    await assert.rejects(list, /the registry is no more/);
  });
});
