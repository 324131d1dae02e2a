import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startPlanned } from '#mesh/async/planned-work.ts';

describe('work that is planned before it is finished', () => {
  it('is planned while it runs', async () => {
    let finish = (_result: string) => {};
    const work = startPlanned<string, string>((onPlan) => {
      onPlan('three rows');
      return new Promise((resolve) => {
        finish = resolve;
      });
    });

    assert.equal(await work.planned, 'three rows');

    finish('rows');
    assert.equal(await work.finished, 'rows');
    await work.ended;
  });

  it('keeps its first plan', async () => {
    const work = startPlanned<number, void>(async (onPlan) => {
      onPlan(1);
      onPlan(2);
    });

    assert.equal(await work.planned, 1);
  });

  it('has no plan if it fails before, and has ended all the same', async () => {
    const work = startPlanned(() => Promise.reject(new Error('lost')));

    await assert.rejects(work.planned, /lost/);
    await assert.rejects(work.finished, /lost/);
    await work.ended;
  });

  it('keeps its plan if it fails after', async () => {
    const work = startPlanned<number, void>(async (onPlan) => {
      onPlan(1);
      throw new Error('lost');
    });
    work.finished.catch(() => {});

    assert.equal(await work.planned, 1);
  });
});
