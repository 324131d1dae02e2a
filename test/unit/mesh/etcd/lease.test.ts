import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { pino } from 'pino';
import { Changes } from '#mesh/async/changes.ts';
import { Lease, type LeaseClient } from '#mesh/etcd/lease.ts';
import { FakeClock } from '#test/fake-clock.ts';

/** Resolves when all work that is due has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** An etcd that grants leases and answers pings as a test says. */
class ScriptedLeases implements LeaseClient {
  readonly title = 'etcd';
  readonly clock = new FakeClock();
  readonly trace: string[] = [];
  /** Whether it can be reached; `silent`: calls hang until they are aborted. */
  reach: 'there' | 'away' | 'silent' = 'there';
  /** Whether the leases that it granted still exist. */
  isAlive = true;
  #numGranted = 0n;

  async grantLease(ttlS: number, signal: AbortSignal): Promise<bigint> {
    await this.#answer(`grant ${ttlS} s`, signal);
    this.isAlive = true;
    this.#numGranted += 1n;
    return this.#numGranted;
  }

  async keepLease(id: bigint, signal: AbortSignal): Promise<boolean> {
    await this.#answer(`keep ${id}`, signal);
    return this.isAlive;
  }

  async revokeLease(id: bigint, signal: AbortSignal): Promise<void> {
    await this.#answer(`revoke ${id}`, signal);
  }

  async #answer(what: string, signal: AbortSignal): Promise<void> {
    this.trace.push(`${this.clock.now()} ${what}`);
    if (this.reach === 'away') throw new Error('refused');
    if (this.reach === 'there') return;
    await new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  }
}

/** Starts a lease over scripted answers; it ends with the test. */
async function start(test: TestContext) {
  const etcd = new ScriptedLeases();
  const changes = new Changes();
  const lease = new Lease(etcd, { title: 'it', log: pino({ level: 'silent' }), changes });
  test.after(async () => {
    etcd.reach = 'there';
    await lease.close();
  });
  await settled();
  /** Lets time pass, in steps in which the work that is due can run. */
  const pass = async (ms: number) => {
    for (let step = 0; step < ms; step += 10) {
      etcd.clock.advance(10);
      await settled();
    }
  };
  return { etcd, lease, pass, changes };
}

describe('Lease', () => {
  it('is granted for 3 s and kept every second', async (test) => {
    const { etcd, lease, pass } = await start(test);

    await pass(3000);

    assert.equal(lease.id, 1n);
    assert.deepEqual(etcd.trace, ['0 grant 3 s', '1000 keep 1', '2000 keep 1', '3000 keep 1']);
  });

  it('is lost 2.4 s after the sending of the last ping that was answered', async (test) => {
    const { etcd, lease, pass } = await start(test);
    await pass(1500);
    etcd.reach = 'away';

    await pass(1890);
    const [before, id] = [etcd.clock.now(), lease.id];
    await pass(20);

    assert.deepEqual([before, id], [3390, 1n]);
    assert.equal(lease.id, undefined);
  });

  it('is lost as soon when a ping hangs', async (test) => {
    const { etcd, lease, pass } = await start(test);
    await pass(1500);
    etcd.reach = 'silent';

    await pass(1880);
    const before = lease.id;
    await pass(30);

    assert.equal(before, 1n);
    assert.equal(lease.id, undefined);
  });

  it('pings again soon after a ping that failed', async (test) => {
    const { etcd, lease, pass } = await start(test);
    etcd.reach = 'away';
    await pass(1010);
    etcd.reach = 'there';

    await pass(100);

    const pings = etcd.trace.filter((line) => line.includes('keep'));
    assert.equal(pings.length, 2);
    assert.equal(lease.id, 1n);
  });

  it('is another one after it was lost, and says so both times', async (test) => {
    const { etcd, lease, pass, changes } = await start(test);
    const seen = changes.count;
    etcd.isAlive = false;

    await pass(1010);

    assert.equal(lease.id, 2n);
    assert.equal(changes.count, seen + 2);
  });

  it('waits for an etcd that is not there, at most half a second at a time', async (test) => {
    const { etcd, lease, pass } = await start(test);
    etcd.isAlive = false;
    etcd.reach = 'away';
    await pass(10_000);
    assert.equal(lease.id, undefined);
    const numTries = etcd.trace.filter((line) => line.includes('grant')).length;
    etcd.reach = 'there';

    await pass(510);

    assert.equal(lease.id, 2n);
    assert(numTries >= 15 && numTries <= 40, String(numTries));
  });

  it('is revoked at its end', async (test) => {
    const { etcd, lease } = await start(test);

    await lease.close();

    assert.equal(lease.id, undefined);
    assert.deepEqual(etcd.trace, ['0 grant 3 s', '0 revoke 1']);
  });

  it('ends without etcd, too', async (test) => {
    const { etcd, lease } = await start(test);
    etcd.reach = 'away';

    await lease.close();

    assert.deepEqual(etcd.trace, ['0 grant 3 s', '0 revoke 1']);
  });
});
