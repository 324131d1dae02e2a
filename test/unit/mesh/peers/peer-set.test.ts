import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { type Member, memberAt } from '#mesh/peers/membership.ts';
import { PeerSet, type SetPeer } from '#mesh/peers/peer-set.ts';

const log = pino({ level: 'silent' });

/** Resolves when all work that is due has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A membership whose lists a test sends. */
class ScriptedMembership {
  #send: (members: readonly Member[] | Error) => void = () => {};
  isAborted = false;

  readonly members = async function* (this: ScriptedMembership, signal: AbortSignal) {
    for (;;) {
      const next = new Promise<readonly Member[]>((resolve, reject) => {
        this.#send = (list) => (list instanceof Error ? reject(list) : resolve(list));
        signal.addEventListener('abort', () => {
          this.isAborted = true;
          reject(signal.reason);
        });
      });
      yield await next;
    }
  }.bind(this);

  async send(members: readonly (string | Member)[] | Error): Promise<void> {
    const isError = members instanceof Error;
    this.#send(
      isError ? members : members.map((one) => (typeof one === 'string' ? memberAt(one) : one)),
    );
    await settled();
  }
}

/**
 * Starts a set over a scripted membership. Its members write a trace and leave when the test says
 * so.
 */
function start({ keepsReady = false } = {}) {
  const trace: string[] = [];
  const leaves = new Map<string, () => void>();
  const open = (member: Member): SetPeer => {
    const { address } = member;
    trace.push(`open ${address}`);
    return {
      address,
      member,
      isReady: address !== 'b',
      leave: async () => {
        trace.push(`leave ${address}`);
        await new Promise<void>((resolve) => leaves.set(address, resolve));
        trace.push(`left ${address}`);
      },
      close: async () => {
        trace.push(`close ${address}`);
        leaves.get(address)?.();
      },
    };
  };
  const membership = new ScriptedMembership();
  const onChange = () => trace.push('changed');
  const set = new PeerSet({ membership: membership.members, keepsReady, open, log, onChange });
  const addresses = () => set.peers.map(({ address }) => address);
  return { set, membership, trace, leaves, addresses };
}

describe('PeerSet', () => {
  it('opens a peer for each address, in order, and counts the ready ones', async () => {
    const { set, membership, trace, addresses } = start();

    await membership.send(['b', 'a']);

    assert.deepEqual(addresses(), ['b', 'a']);
    assert.equal(set.numReady, 1);
    assert.deepEqual(trace, ['open b', 'open a', 'changed']);
  });

  it('keeps those that stay, opens those that come and lets go of those that leave', async () => {
    const { set, membership, trace, addresses } = start();
    await membership.send(['a', 'b']);
    const [kept] = set.peers.slice(1);
    trace.length = 0;

    await membership.send(['c', 'b']);

    assert.deepEqual(addresses(), ['c', 'b']);
    assert.equal(set.peers[1], kept);
    assert.deepEqual(trace, ['open c', 'leave a', 'changed']);
  });

  it('opens an address anew that comes back while it is still leaving', async () => {
    const { set, membership, trace } = start();
    await membership.send(['a']);
    const [first] = set.peers;

    await membership.send([]);
    await membership.send(['a']);

    assert.notEqual(set.peers[0], first);
    assert.deepEqual(trace, ['open a', 'changed', 'leave a', 'changed', 'open a', 'changed']);
  });

  it('tells a peer what its registry says anew, without opening it again', async () => {
    const { set, membership, trace } = start();
    await membership.send(['a']);
    trace.length = 0;

    await membership.send([{ ...memberAt('a'), isLeaving: true }]);

    assert.equal(set.peers[0]?.member.isLeaving, true);
    assert.deepEqual(trace, ['changed']);
  });

  it('keeps a peer whose entry has ended for as long as it is ready, where entries end by a lease', async () => {
    const { set, membership, trace, addresses } = start({ keepsReady: true });
    await membership.send(['a', 'c']);
    trace.length = 0;

    await membership.send(['c']);
    assert.deepEqual(addresses(), ['c', 'a']);
    assert.deepEqual(trace, ['changed']);

    const [, unlisted] = set.peers;
    assert(unlisted !== undefined);
    Object.assign(unlisted, { isReady: false });
    await membership.send(['c']);
    assert.deepEqual(addresses(), ['c']);
    assert.deepEqual(trace, ['changed', 'leave a', 'changed']);
  });

  it('takes a peer back whose entry has come again', async () => {
    const { membership, trace, addresses } = start({ keepsReady: true });
    await membership.send(['a', 'c']);
    await membership.send(['c']);
    await membership.send(['a', 'c']);

    assert.deepEqual(addresses(), ['a', 'c']);
    assert.equal(trace.filter((event) => event === 'open a').length, 1);
  });

  it('stands by the last list when the membership breaks', async () => {
    const { membership, addresses } = start();
    await membership.send(['a']);

    await membership.send(new Error('the registry is away'));

    assert.deepEqual(addresses(), ['a']);
  });

  it('closes its members, those that leave too, and follows the membership no longer', async () => {
    const { set, membership, trace } = start();
    await membership.send(['a', 'b']);
    await membership.send(['b']);
    trace.length = 0;

    await set.close();

    assert.equal(membership.isAborted, true);
    assert.deepEqual(trace, ['close b', 'close a', 'left a']);
  });
});
