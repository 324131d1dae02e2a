import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  moveResidency,
  type Residency,
  type ResidencyEvent,
  UNLOADED,
} from '#encoder/residency.ts';
import { ResidentEncoder } from '#encoder/resident-encoder.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { FakeEncoder, settled } from './doubles.ts';

const present = new AbortController().signal;
const options = { idleUnloadMs: 1000 };

/** Applies events in order; returns the last state and all actions. */
function run(events: readonly ResidencyEvent[], start: Residency = UNLOADED) {
  let state = start;
  const actions = events.map((event) => {
    const { next, action } = moveResidency(state, event, options);
    state = next;
    return action.kind;
  });
  return { state, actions };
}

describe('moveResidency', () => {
  it('loads at the first use only', () => {
    const { state, actions } = run([{ kind: 'acquired' }, { kind: 'acquired' }]);

    assert.deepEqual(actions, ['load', 'none']);
    assert.deepEqual([state.phase, state.numUsers], ['loading', 2]);
  });

  it('waits the idle time after the last user has left', () => {
    const { actions } = run([
      { kind: 'acquired' },
      { kind: 'loaded', nowMs: 5 },
      { kind: 'released', nowMs: 10 },
    ]);

    assert.deepEqual(actions, ['load', 'none', 'set timer']);
  });

  it('unloads when the idle time is over', () => {
    const idle: Residency = { phase: 'loaded', numUsers: 0, idleSinceMs: 10 };

    assert.deepEqual(run([{ kind: 'timer', nowMs: 1010 }], idle).actions, ['unload']);
  });

  it('waits the rest of the idle time when it was used meanwhile', () => {
    const idle: Residency = { phase: 'loaded', numUsers: 0, idleSinceMs: 700 };

    const { action } = moveResidency(idle, { kind: 'timer', nowMs: 1010 }, options);

    assert.deepEqual(action, { kind: 'set timer', ms: 690 });
  });

  it('stays loaded while somebody uses it', () => {
    const used: Residency = { phase: 'loaded', numUsers: 1, idleSinceMs: 0 };

    assert.deepEqual(run([{ kind: 'timer', nowMs: 9999 }], used).actions, ['none']);
  });

  it('loads again when somebody came while it was unloading', () => {
    const unloading: Residency = { phase: 'unloading', numUsers: 0, idleSinceMs: 0 };

    const { actions } = run([{ kind: 'acquired' }, { kind: 'unloaded' }], unloading);

    assert.deepEqual(actions, ['none', 'load']);
  });

  it('tries again at the next use after a failed load', () => {
    const { actions } = run([
      { kind: 'acquired' },
      { kind: 'load failed' },
      { kind: 'released', nowMs: 1 },
      { kind: 'acquired' },
    ]);

    assert.deepEqual(actions, ['load', 'none', 'none', 'load']);
  });

  it('never unloads without an idle time', () => {
    const used: Residency = { phase: 'loaded', numUsers: 1, idleSinceMs: 0 };

    const { action } = moveResidency(
      used,
      { kind: 'released', nowMs: 1 },
      { idleUnloadMs: Infinity },
    );

    assert.deepEqual(action, { kind: 'none' });
  });
});

function setUp() {
  const clock = new FakeClock();
  const loaded: FakeEncoder[] = [];
  let failure: Error | undefined;
  const resident = new ResidentEncoder({
    clock,
    idleUnloadMs: 1000,
    load: async () => {
      if (failure !== undefined) throw failure;
      const encoder = new FakeEncoder();
      loaded.push(encoder);
      return encoder;
    },
  });
  const failWith = (error: Error | undefined) => {
    failure = error;
  };
  return { clock, resident, loaded, failWith };
}

describe('ResidentEncoder', () => {
  it('loads once for all who use it at the same time', async () => {
    const { resident, loaded } = setUp();

    const used = await Promise.all([1, 2].map(() => resident.use(present, async (tower) => tower)));

    assert.equal(loaded.length, 1);
    assert.equal(used[0], used[1]);
  });

  it('is unloaded after the idle time and loaded again at the next use', async () => {
    const { clock, resident, loaded } = setUp();
    await resident.use(present, async () => {});

    clock.advance(1000);
    await settled();
    assert.equal(resident.loaded, undefined);
    assert.deepEqual(loaded[0]?.trace, ['close']);
    await resident.use(present, async () => {});

    assert.equal(loaded.length, 2);
  });

  it('gives a failed load to those who wait and tries again for the next', async () => {
    const { resident, loaded, failWith } = setUp();
    failWith(new Error('no memory'));
    await assert.rejects(
      resident.use(present, async () => {}),
      /no memory/,
    );

    failWith(undefined);
    await resident.use(present, async () => {});

    assert.equal(loaded.length, 1);
  });

  it('lets a caller leave while it loads', async () => {
    const { resident, loaded } = setUp();
    const caller = new AbortController();

    const use = resident.use(caller.signal, async () => assert.fail('used'));
    caller.abort();

    await assert.rejects(use, { name: 'AbortError' });
    await resident.close();
    assert.deepEqual(loaded[0]?.trace, ['close']);
  });

  it('frees the tower when it is closed', async () => {
    const { clock, resident, loaded } = setUp();
    await resident.use(present, async () => {});

    await resident.close();

    assert.deepEqual(loaded[0]?.trace, ['close']);
    assert.equal(clock.numTimers, 0);
  });
});
