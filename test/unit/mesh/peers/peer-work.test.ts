import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { PeerWork } from '#mesh/peers/peer-work.ts';

describe('PeerWork', () => {
  let work: PeerWork;
  let nowMs = 0;
  beforeEach(() => {
    work = new PeerWork();
    nowMs = 0;
  });

  /** Lets the peer report its work some time after its last report. */
  function reportAfter(ms: number, tokens: number): void {
    nowMs += ms;
    work.report(tokens, nowMs);
  }

  it('is what was reported, and what this process has sent since', () => {
    work.begin(10);
    reportAfter(0, 30);
    work.begin(5);

    assert.equal(work.total, 35);
    assert.equal(work.own, 15);
  });

  it('is what this process has sent if the peer was away since it reported', () => {
    work.begin(10);
    reportAfter(0, 30);
    work.forget();

    assert.equal(work.total, 10);
  });

  it('remembers how much others add between two reports, and forgets it slowly', () => {
    reportAfter(0, 100);
    reportAfter(1000, 1100);
    assert.equal(work.surge, 1000);

    for (let i = 0; i < 100; i++) reportAfter(1000, 200);

    assert(work.surge < 200 && work.surge > 50, `${work.surge}`);
  });

  it('takes what this process sends for no surge', () => {
    reportAfter(0, 0);
    work.begin(500);
    reportAfter(1000, 480);

    assert.equal(work.surge, 0);
  });

  it('takes a rise that is told out of turn for the beginning of what was to come', () => {
    for (let i = 0; i < 3; i++) reportAfter(1000, 5000);

    reportAfter(100, 15_000);

    assert.equal(work.surge, 100_000);
  });

  it('takes no report for one out of turn after the peer was away', () => {
    for (let i = 0; i < 3; i++) reportAfter(1000, 5000);
    work.forget();

    reportAfter(50, 15_000);

    assert.equal(work.surge, 15_000);
  });
});
