import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HEARTBEAT_INTERVAL_MS, Heartbeat } from '#mesh/peers/heartbeat.ts';
import { FakeClock } from '#test/fake-clock.ts';

const SILENCE_LIMIT_MS = 3 * HEARTBEAT_INTERVAL_MS;

function start() {
  const clock = new FakeClock();
  const silences: number[] = [];
  const heartbeat = new Heartbeat({
    clock,
    maxMissed: 3,
    onSilence: () => silences.push(clock.now()),
  });
  return { clock, silences, heartbeat };
}

describe('Heartbeat', () => {
  it('notices silence after three missed messages, and says so once', () => {
    const { clock, silences, heartbeat } = start();
    heartbeat.beat();

    clock.advance(SILENCE_LIMIT_MS - 1);
    assert.deepEqual(silences, []);
    clock.advance(10 * SILENCE_LIMIT_MS);

    assert.deepEqual(silences, [SILENCE_LIMIT_MS]);
    assert.equal(SILENCE_LIMIT_MS, 3000);
    assert.equal(clock.numTimers, 0);
  });

  it('hears a peer whose messages come late but come', () => {
    const { clock, silences, heartbeat } = start();

    for (const lateMs of [0, 1500, 2999, 0, 2999]) {
      clock.advance(lateMs);
      heartbeat.beat();
    }

    assert.deepEqual(silences, []);
  });

  it('notices silence again after the peer was heard again', () => {
    const { clock, silences, heartbeat } = start();
    heartbeat.beat();
    clock.advance(SILENCE_LIMIT_MS);

    heartbeat.beat();
    clock.advance(SILENCE_LIMIT_MS);

    assert.deepEqual(silences, [SILENCE_LIMIT_MS, 2 * SILENCE_LIMIT_MS]);
  });

  it('does not take a stall of its own process for silence of the peer', () => {
    const timers: (() => void)[] = [];
    const silences: string[] = [];
    const stalled = {
      now: () => 0,
      after: (ms: number, action: () => void) => {
        assert.equal(ms, HEARTBEAT_INTERVAL_MS);
        timers.push(action);
        return () => timers.splice(timers.indexOf(action), 1);
      },
    };
    const heartbeat = new Heartbeat({
      clock: stalled,
      maxMissed: 3,
      onSilence: () => silences.push('silent'),
    });
    heartbeat.beat();

    // A minute has passed in one turn of the event loop: the timer runs before the messages that
    // arrived are read.
    timers.shift()?.();
    heartbeat.beat();

    assert.deepEqual(silences, []);
    assert.equal(timers.length, 1);
  });

  it('is still once stopped', () => {
    const { clock, silences, heartbeat } = start();
    heartbeat.beat();

    heartbeat.stop();
    clock.advance(SILENCE_LIMIT_MS);

    assert.deepEqual(silences, []);
  });
});
