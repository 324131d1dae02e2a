import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RequestTimer } from '#backbone/request/request-timer.ts';

function timerAt() {
  const clock = { ms: 0 };
  return { clock, timer: new RequestTimer({ arrivalMs: 5, now: () => clock.ms }) };
}

describe('RequestTimer', () => {
  it('notes when what happens', () => {
    const { clock, timer } = timerAt();
    const at = (ms: number) => {
      clock.ms = ms;
      return timer;
    };

    at(10).queued();
    at(30).scheduled();
    at(50).tokenCame(0);
    at(70).tokenCame(1);

    assert.deepEqual(at(90).ended(), {
      arrivalMs: 5,
      queuedMs: 10,
      scheduledMs: 30,
      firstTokenMs: 50,
      lastTokenMs: 70,
      endMs: 90,
    });
    assert.equal(timer.queueMs, 20);
    assert.equal(timer.ttftMs, 45);
  });

  it('measures the time between the tokens of each choice', () => {
    const { clock, timer } = timerAt();
    const gaps = [
      [10, 0],
      [11, 1],
      [14, 0],
      [19, 1],
      [20, 0],
    ].map(([ms = 0, choice = 0]) => {
      clock.ms = ms;
      return timer.tokenCame(choice);
    });

    assert.deepEqual(gaps, [null, null, 4, 8, 6]);
  });

  it('has waited and taken no time for what never happened', () => {
    const { timer } = timerAt();

    assert.equal(timer.queueMs, 0);
    assert.equal(timer.ttftMs, 0);
    assert.equal(timer.ended().lastTokenMs, null);
  });
});
