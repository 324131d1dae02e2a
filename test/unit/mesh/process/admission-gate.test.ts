import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { MeshError } from '#mesh/errors.ts';
import { AdmissionGate } from '#mesh/process/admission-gate.ts';
import { refusal } from '#test/refusal.ts';

const closed = 'this instance takes no more';

/** Returns true if a promise is resolved after the microtasks that are due. */
async function isSettled(promise: Promise<void>): Promise<boolean> {
  let settled = false;
  void promise.then(() => {
    settled = true;
  });
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  return settled;
}

describe('an admission gate', () => {
  it('counts those inside and refuses more than its limit', () => {
    const full = new MeshError('QUEUE_FULL', 'two are inside');
    const limit = { maxInside: 2, refusal: () => full };
    const gate = new AdmissionGate({ closed, limit });
    const leave = gate.enter();
    gate.enter();
    assert.throws(() => gate.enter(), full);

    leave();

    assert.equal(gate.numInside, 1);
    gate.enter();
  });

  it('lets nobody in once it is closed, whatever the limit', () => {
    const limit = { maxInside: 0, refusal: () => new MeshError('QUEUE_FULL', 'full') };
    const gate = new AdmissionGate({ closed, limit });
    gate.close();

    assert.throws(() => gate.enter(), refusal('DRAINING', /takes no more/));
  });

  it('counts a call while its work runs, however it ends', async () => {
    const gate = new AdmissionGate({ closed });
    const counts: number[] = [];
    const work = async function* () {
      counts.push(gate.numInside);
      yield 1;
      throw new Error('broken');
    };

    const read = async (numItems: number) => {
      for await (const item of gate.around(work)) if (item === numItems) return;
    };
    await assert.rejects(read(2), /broken/);
    await read(1);

    assert.deepEqual(counts, [1, 1]);
    assert.equal(gate.numInside, 0);
  });

  it('drains when the last has left', async () => {
    const gate = new AdmissionGate({ closed });
    const leaves = [gate.enter(), gate.enter()];
    const [drained, empty] = [gate.drain(60_000), gate.whenEmpty()];

    leaves[0]?.();
    assert.equal(await isSettled(drained), false);
    leaves[1]?.();

    await Promise.all([drained, empty]);
  });

  it('drains at the latest when the grace is over', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const gate = new AdmissionGate({ closed });
    gate.enter();
    const drained = gate.drain(1000);

    mock.timers.tick(999);
    assert.equal(await isSettled(drained), false);
    mock.timers.tick(1);

    await drained;
    assert.equal(gate.numInside, 1);
    mock.timers.reset();
  });
});
