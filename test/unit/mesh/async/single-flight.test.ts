import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SingleFlight } from '#mesh/async/single-flight.ts';
import { settled } from '#test/unit/encoder/doubles.ts';

function setUp() {
  let numLeft = 0;
  const flights = new SingleFlight<{ ended: Promise<void>; end: () => void }>({
    onLeft: () => {
      numLeft++;
    },
  });
  const signals: AbortSignal[] = [];
  const start = (signal: AbortSignal) => {
    signals.push(signal);
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    return { ended, end };
  };
  return { flights, signals, start, numLeft: () => numLeft };
}

describe('SingleFlight', () => {
  it('starts work once for all who ask for it', () => {
    const { flights, signals, start } = setUp();

    const first = flights.joinOrStart('a', start);
    const second = flights.joinOrStart('a', start);

    assert.equal(signals.length, 1);
    assert.equal(first.work, second.work);
  });

  it('keeps keys apart', () => {
    const { flights, signals, start } = setUp();
    flights.joinOrStart('a', start);

    flights.joinOrStart('b', start);

    assert.equal(signals.length, 2);
    assert.equal(flights.join('c'), undefined);
  });

  it('goes on when one of two callers leaves', () => {
    const { flights, signals, start } = setUp();
    const first = flights.joinOrStart('a', start);
    flights.joinOrStart('a', start);

    first.leave();
    first.leave();

    assert.equal(signals[0]?.aborted, false);
  });

  it('is aborted when the last caller leaves, and starts afresh for the next', () => {
    const { flights, signals, start } = setUp();
    const first = flights.joinOrStart('a', start);
    const second = flights.joinOrStart('a', start);

    first.leave();
    second.leave();
    flights.joinOrStart('a', start);

    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [true, false],
    );
  });

  it('says once that work has ended and everybody has left, in either order', async () => {
    const { flights, start, numLeft } = setUp();
    const first = flights.joinOrStart('a', start);
    const second = flights.joinOrStart('a', start);

    first.leave();
    first.work.end();
    await settled();
    assert.equal(numLeft(), 0);
    second.leave();
    assert.equal(numLeft(), 1);

    const third = flights.joinOrStart('a', start);
    third.leave();
    assert.equal(numLeft(), 1);
    third.work.end();
    await settled();
    assert.equal(numLeft(), 2);
  });

  it('forgets work that has ended', async () => {
    const { flights, start } = setUp();
    const flight = flights.joinOrStart('a', start);

    flight.work.end();
    await settled();

    assert.equal(flights.join('a'), undefined);
  });
});
