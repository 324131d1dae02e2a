import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { type Member, PeerSet } from '#mesh/peers/peer-set.ts';
import { staticMembership } from '#mesh/peers/static-membership.ts';

const log = pino({ level: 'silent' });

/** Resolves when all work that is due has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A membership whose lists a test sends. */
class ScriptedMembership {
  #send: (addresses: readonly string[] | Error) => void = () => {};
  isAborted = false;

  readonly members = async function* (this: ScriptedMembership, signal: AbortSignal) {
    for (;;) {
      const next = new Promise<readonly string[]>((resolve, reject) => {
        this.#send = (list) => (list instanceof Error ? reject(list) : resolve(list));
        signal.addEventListener('abort', () => {
          this.isAborted = true;
          reject(signal.reason);
        });
      });
      yield await next;
    }
  }.bind(this);

  async send(addresses: readonly string[] | Error): Promise<void> {
    this.#send(addresses);
    await settled();
  }
}

/**
 * Starts a set over a scripted membership. Its members write a trace and leave when the test says
 * so.
 */
function start() {
  const trace: string[] = [];
  const leaves = new Map<string, () => void>();
  const open = (address: string): Member => {
    trace.push(`open ${address}`);
    return {
      address,
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
  const set = new PeerSet({ membership: membership.members, open, log, onChange });
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

describe('staticMembership', () => {
  it('names each configured address once', async () => {
    const { signal } = new AbortController();

    const lists: (readonly string[])[] = [];
    for await (const list of staticMembership(['a', 'b', 'a'])(signal)) lists.push(list);

    assert.deepEqual(lists, [['a', 'b']]);
  });
});
