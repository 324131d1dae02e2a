import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { pino } from 'pino';
import type { Clock } from '#mesh/async/clock.ts';
import { MeshError } from '#mesh/errors.ts';
import { memberAt } from '#mesh/peers/membership.ts';
import { Peer, type PeerKind } from '#mesh/peers/peer.ts';
import type { InstanceFacts } from '#mesh/process/instance.ts';
import { Numerics } from '#protos/autoglm/mesh/v1/instance.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { ScriptedInstance, type ScriptedInstanceOptions } from '#test/scripted-instance.ts';

const log = pino({ level: 'silent' });
const PROGRESS_TIMEOUT_S = 3;
const SILENCE_LIMIT_MS = PROGRESS_TIMEOUT_S * 1000;

/** A peer of a scripted process, with functions to wait for its changes. */
interface Watched {
  readonly instance: ScriptedInstance;
  readonly peer: Peer<undefined, string>;
  /** Descriptions of the process that the peer received, in order. */
  readonly described: string[];
  /** Resolves when `isSo` returns true; calls it at every change. */
  readonly until: (isSo: () => boolean) => Promise<void>;
}

interface WatchedOptions extends ScriptedInstanceOptions {
  /** Clock of the watcher. */
  readonly watcherClock?: Clock;
  readonly mismatch?: (model: string) => string | undefined;
  /** Errors that asking for the model throws, call by call. */
  readonly failures?: (MeshError | undefined)[];
}

/** Watches a scripted process; both end with the test. */
async function watch(test: TestContext, options: WatchedOptions = {}): Promise<Watched> {
  const { watcherClock, mismatch, failures = [] } = options;
  const instance = await new ScriptedInstance(options).start();
  const described: string[] = [];
  const kind: PeerKind<undefined, string> = {
    title: 'process',
    channelUse: 'tokens',
    open: () => undefined,
    describe: async () => {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      const model = instance.status.facts.modelId;
      described.push(model);
      return model;
    },
    ...(mismatch && { mismatch }),
  };
  let onChange = () => {};
  const peer = new Peer(kind, memberAt(instance.address), {
    log,
    progressTimeoutS: PROGRESS_TIMEOUT_S,
    onChange: () => onChange(),
    ...(watcherClock && { clock: watcherClock }),
  });
  test.after(async () => {
    await peer.close();
    await instance.stop();
  });
  const until = async (isSo: () => boolean) => {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        onChange = resolve;
      });
    }
  };
  return { instance, peer, described, until };
}

describe('A peer', { timeout: 20_000 }, () => {
  it('is ready once it serves and has said what', async (test) => {
    const { instance, peer, until } = await watch(test);

    assert.equal(peer.isReady, false);
    await until(() => peer.isReady);

    assert.equal(peer.model, 'tiny');
    assert.equal(peer.facts?.fingerprint, 'a1');
    instance.health.setServing(false);
    await until(() => !peer.isReady);
    assert.equal(peer.model, 'tiny');
  });

  it('is asked again when its model changes without an outage, and stays ready', async (test) => {
    const { instance, peer, described, until } = await watch(test);
    await until(() => peer.isReady);
    const standings: boolean[] = [];

    instance.status.change({ modelId: 'huge', fingerprint: 'b2' });
    await until(() => {
      standings.push(peer.isReady);
      return peer.model === 'huge';
    });

    assert.deepEqual(described, ['tiny', 'huge']);
    assert(!standings.includes(false));
    assert.equal(peer.facts?.fingerprint, 'b2');
  });

  const numerics = Numerics.fromPartial({ isa: 'avx2', numRanks: 1 });
  const changes: readonly (readonly [string, Partial<InstanceFacts>])[] = [
    ['another fingerprint', { fingerprint: 'c3' }],
    ['other served names', { servedNames: ['tiny', 'phone'] }],
    ['other numerics', { numerics }],
  ];
  for (const [what, change] of changes) {
    it(`is asked again when it tells of ${what}`, async (test) => {
      const { instance, peer, described, until } = await watch(test);
      await until(() => peer.isReady);

      instance.status.change(change);
      await until(() => described.length === 2);

      assert.equal(peer.isReady, true);
    });
  }

  it('is not asked again for news that leave its model as it is', async (test) => {
    const { instance, peer, described, until } = await watch(test);
    await until(() => peer.isReady);

    instance.status.change({ detail: 'busy' });
    while (peer.facts?.detail !== 'busy') await new Promise((resolve) => setImmediate(resolve));

    assert.deepEqual(described, ['tiny']);
    assert.equal(peer.isReady, true);
  });

  it('is not asked once it has been silent, and is again when it speaks', async (test) => {
    const watcherClock = new FakeClock();
    const clock = new FakeClock();
    const { instance, peer, described, until } = await watch(test, { clock, watcherClock });
    await until(() => peer.isReady);

    watcherClock.advance(SILENCE_LIMIT_MS);
    assert.equal(peer.isReady, false);
    instance.status.change({ detail: 'awake' });
    await until(() => peer.isReady);

    assert.deepEqual(described, ['tiny']);
  });

  it('gives up its calls once it has been silent, and only those that still run', async (test) => {
    const watcherClock = new FakeClock();
    const clock = new FakeClock();
    const { peer, until } = await watch(test, { clock, watcherClock });
    await until(() => peer.isReady);
    const lost: string[] = [];
    peer.begin(() => lost.push('ended before'))();
    peer.begin((why) => lost.push(`${why.reason}: ${why.message}`));

    watcherClock.advance(SILENCE_LIMIT_MS - 1);
    assert.deepEqual(lost, []);
    watcherClock.advance(1);

    assert.deepEqual(lost, ['NO_READY_ENDPOINT: a process has been silent for 3 s']);
  });

  it('is used at once when it listens again after a long outage', async (test) => {
    const { instance, peer, until } = await watch(test);
    await until(() => peer.isReady);
    const { address } = instance;
    await instance.stop();
    await until(() => !peer.isReady);
    // Several attempts to connect fail meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 1500));

    await instance.start(address);
    const beganMs = performance.now();
    await until(() => peer.isReady);

    const ms = performance.now() - beganMs;
    assert(ms < 300, `it was ready ${ms} ms after it listened`);
  });

  it('says when it is expected back, by the time its last start took', async (test) => {
    const watcherClock = new FakeClock();
    const { instance, peer, until } = await watch(test, { watcherClock });
    assert.equal(peer.recoveryMs, undefined);
    await until(() => peer.isReady);
    const whole = peer.recoveryMs ?? 0;
    assert(whole >= (peer.facts?.startMs ?? Infinity), 'a whole start is ahead');

    await instance.stop();
    await until(() => !peer.isReady);
    watcherClock.advance(100);

    assert.equal(peer.recoveryMs, whole - 100);
  });

  it('stays ready as long as its heartbeat comes', async (test) => {
    const watcherClock = new FakeClock();
    const clock = new FakeClock();
    const { peer, until } = await watch(test, { clock, watcherClock });
    await until(() => peer.isReady);

    for (let second = 0; second < 6; second++) {
      const last = peer.facts;
      watcherClock.advance(1000);
      clock.advance(1000);
      while (peer.facts === last) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(peer.isReady, true);
    }
  });

  it('is judged by its health alone if it speaks no Watch', async (test) => {
    const watcherClock = new FakeClock();
    const { instance, peer, until } = await watch(test, { hasWatch: false, watcherClock });

    await until(() => peer.isReady);
    watcherClock.advance(10 * SILENCE_LIMIT_MS);

    assert.equal(peer.isReady, true);
    assert.equal(peer.facts, undefined);
    instance.health.setServing(false);
    await until(() => !peer.isReady);
  });

  it('is asked anew when it comes back after an outage', async (test) => {
    const { instance, peer, described, until } = await watch(test);
    await until(() => peer.isReady);
    const { address } = instance;

    await instance.stop();
    await until(() => !peer.isReady);
    assert.equal(peer.facts, undefined);
    await instance.start(address);
    await until(() => peer.isReady);

    assert.deepEqual(described, ['tiny', 'tiny']);
  });

  it('is asked until it says what it serves', async (test) => {
    const failures = [new MeshError('ENGINE_FAILED', 'not yet'), undefined];
    const { peer, until } = await watch(test, { failures });

    await until(() => peer.isReady);

    assert.equal(peer.model, 'tiny');
  });

  it('is refused while its model does not fit', async (test) => {
    const mismatch = (model: string) => (model === 'tiny' ? undefined : `it runs ${model}`);
    const { instance, peer, until } = await watch(test, { mismatch });
    await until(() => peer.isReady);

    instance.status.change({ modelId: 'huge' });
    await until(() => peer.mismatch !== undefined);
    assert.equal(peer.mismatch, 'it runs huge');
    assert.equal(peer.isReady, false);
    instance.status.change({ modelId: 'tiny' });

    await until(() => peer.isReady);
    assert.equal(peer.mismatch, undefined);
  });

  it('finishes the calls it has before it leaves, and takes no other', async (test) => {
    const { peer, until } = await watch(test);
    await until(() => peer.isReady);
    const end = peer.begin(() => {});
    let hasLeft = false;

    const left = peer.leave().then(() => {
      hasLeft = true;
    });
    await peer.instance.getStatus({});

    assert.equal(peer.isReady, false);
    assert.equal(hasLeft, false);
    end();
    await left;
    await assert.rejects(peer.instance.getStatus({}));
  });
});
