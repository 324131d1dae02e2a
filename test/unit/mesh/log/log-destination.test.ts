import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LogDestination, type LogSink, MAX_QUEUED_BYTES } from '#mesh/log/log-destination.ts';
import { FakeClock } from '#test/fake-clock.ts';

/** A pipe or a disk with `room` bytes of room. */
class FakeSink implements LogSink {
  readonly continuesLines: boolean;
  /** Number of bytes that it still takes. */
  room = Infinity;
  /** Error code of a write that finds no room. */
  failure = 'EAGAIN';
  /** Text that each write stored. */
  readonly writes: string[] = [];
  numAttempts = 0;

  constructor(kind: 'pipe' | 'disk' = 'pipe') {
    this.continuesLines = kind === 'pipe';
  }

  write(bytes: Uint8Array): number {
    this.numAttempts++;
    if (this.room === 0) throw Object.assign(new Error(this.failure), { code: this.failure });
    const taken = bytes.subarray(0, this.room);
    this.room -= taken.length;
    this.writes.push(Buffer.from(taken).toString());
    return taken.length;
  }

  get text(): string {
    return this.writes.join('');
  }
}

function open(sink: FakeSink) {
  const clock = new FakeClock();
  const reports: string[] = [];
  const destination: LogDestination = new LogDestination('stdout', sink, {
    clock,
    report: {
      onTrouble: (why) => {
        reports.push(`trouble: ${why}`);
        destination.write('trouble\n');
      },
      onRecovery: (numDropped) => {
        reports.push(`recovery: ${numDropped} dropped`);
        destination.write('recovery\n');
      },
    },
  });
  return { destination, clock, reports };
}

const KILOBYTE = `${'x'.repeat(1023)}\n`;
const NUM_KILOBYTES = MAX_QUEUED_BYTES / 1024;

describe('LogDestination', () => {
  it('writes each line at once', () => {
    const sink = new FakeSink();
    const { destination, clock } = open(sink);

    destination.write('one\n');
    destination.write('two\n');

    assert.deepEqual(sink.writes, ['one\n', 'two\n']);
    assert.equal(clock.numTimers, 0);
  });

  it('keeps lines for a reader that stands still, in order, and is silent about it', () => {
    const sink = new FakeSink();
    const { destination, clock, reports } = open(sink);
    sink.room = 0;
    for (const line of ['one\n', 'two\n', 'three\n']) destination.write(line);
    assert.equal(sink.numAttempts, 1, 'lines behind one that waits are not tried');

    sink.room = Infinity;
    clock.advance(10);

    assert.deepEqual(sink.writes, ['one\ntwo\nthree\n']);
    assert.deepEqual(reports, []);
    assert.equal(clock.numTimers, 0);
  });

  it('drops lines over its bound, counts them, and says so once when it can write again', () => {
    const sink = new FakeSink();
    const { destination, clock, reports } = open(sink);
    sink.room = 0;
    for (let i = 0; i < NUM_KILOBYTES; i++) destination.write(KILOBYTE);
    assert.equal(destination.numDropped, 0);

    for (let i = 0; i < 5; i++) destination.write(KILOBYTE);
    // The queue was also full for the line that reports the dropped ones.
    assert.equal(destination.numDropped, 6);
    sink.room = Infinity;
    clock.advance(500);

    assert.deepEqual(reports, ['trouble: nothing reads it', 'recovery: 6 dropped']);
    assert.equal(sink.text, `${KILOBYTE.repeat(NUM_KILOBYTES)}recovery\n`);
    assert.equal(destination.numErrors, 0);
  });

  it('says what a slow reader missed without waiting for the end of the queue', () => {
    const sink = new FakeSink();
    const { destination, clock, reports } = open(sink);
    sink.room = 0;
    for (let i = 0; i < NUM_KILOBYTES + 1; i++) destination.write(KILOBYTE);

    sink.room = MAX_QUEUED_BYTES / 2;
    clock.advance(500);

    assert.deepEqual(reports, ['trouble: nothing reads it', 'recovery: 2 dropped']);
    assert.equal(clock.numTimers, 1);
  });

  it('takes a line larger than its bound while nothing waits', () => {
    const sink = new FakeSink();
    const { destination } = open(sink);
    const line = KILOBYTE.repeat(NUM_KILOBYTES + 1);

    destination.write(line);

    assert.equal(sink.text, line);
  });

  it('counts errors, says the first, tries again ever more slowly, and recovers', () => {
    const sink = new FakeSink('disk');
    const { destination, clock, reports } = open(sink);
    sink.room = 0;
    sink.failure = 'ENOSPC';

    destination.write('one\n');
    clock.advance(60_000);
    const numAttempts = sink.numAttempts;
    sink.room = Infinity;
    clock.advance(500);

    assert(numAttempts > 100 && numAttempts < 140, `${numAttempts} attempts in a minute`);
    assert.equal(destination.numErrors, numAttempts);
    assert.deepEqual(reports, ['trouble: ENOSPC', 'recovery: 0 dropped']);
    assert.equal(sink.text, 'one\ntrouble\nrecovery\n');
  });

  it('speaks of each time of trouble', () => {
    const sink = new FakeSink('disk');
    const { destination, clock, reports } = open(sink);
    sink.failure = 'ENOSPC';

    for (const line of ['one\n', 'two\n']) {
      sink.room = 0;
      destination.write(line);
      sink.room = Infinity;
      clock.advance(500);
    }

    assert.equal(reports.length, 4);
  });

  it('stays in trouble while a disk has room for some of its lines only', () => {
    const sink = new FakeSink('disk');
    const { destination, clock, reports } = open(sink);
    sink.room = 0;
    sink.failure = 'ENOSPC';
    for (let i = 0; i < 10; i++) destination.write(KILOBYTE);

    sink.room = 5000;
    clock.advance(500);

    assert.deepEqual(reports, ['trouble: ENOSPC']);
  });

  it('begins a new line after a disk that took the start of one', () => {
    const sink = new FakeSink('disk');
    const { destination, clock } = open(sink);
    sink.room = 6;
    sink.failure = 'ENOSPC';
    destination.write('one\n');
    destination.write('two\n');

    sink.room = Infinity;
    clock.advance(500);

    assert.equal(sink.text, 'one\ntw\ntwo\ntrouble\nrecovery\n');
  });

  it('begins a new line even when the disk cuts the second attempt too', () => {
    const sink = new FakeSink('disk');
    const { destination, clock } = open(sink);
    sink.failure = 'ENOSPC';
    sink.room = 2;
    destination.write('one\n');
    sink.room = 3;
    clock.advance(10);

    sink.room = Infinity;
    clock.advance(500);

    assert.equal(sink.text, 'on\non\none\ntrouble\nrecovery\n');
  });

  it('continues a line that a pipe took in part', () => {
    const sink = new FakeSink();
    const { destination, clock } = open(sink);
    sink.room = 6;
    destination.write('one\n');
    destination.write('two\n');
    assert.equal(sink.text, 'one\ntw');

    sink.room = Infinity;
    clock.advance(10);

    assert.equal(sink.text, 'one\ntwo\n');
  });

  it('does not continue a line that a lost reader has the start of', () => {
    const sink = new FakeSink();
    const { destination, clock } = open(sink);
    sink.room = 2;
    destination.write('one\n');
    sink.failure = 'EPIPE';
    clock.advance(10);

    sink.room = Infinity;
    clock.advance(500);

    assert.equal(sink.text, 'on\none\ntrouble\nrecovery\n');
  });

  it('puts whole lines into each write, no more than a pipe takes in one piece', () => {
    const sink = new FakeSink();
    const { destination, clock } = open(sink);
    const line = `${'x'.repeat(1499)}\n`;
    sink.room = 0;
    for (let i = 0; i < 5; i++) destination.write(line);

    sink.room = Infinity;
    clock.advance(10);

    assert.deepEqual(
      sink.writes.map(({ length }) => length),
      [3000, 3000, 1500],
    );
  });

  describe('flush', () => {
    it('waits for a reader that comes back', () => {
      const sink = new FakeSink();
      const { destination, clock } = open(sink);
      sink.room = 0;
      destination.write('last words\n');

      destination.flush(200, (ms) => {
        clock.advance(ms);
        if (clock.now() >= 100) sink.room = Infinity;
      });

      assert.equal(sink.text, 'last words\n');
      assert.equal(clock.now(), 100);
    });

    it('ends at its limit when nobody reads', () => {
      const sink = new FakeSink();
      const { destination, clock } = open(sink);
      sink.room = 0;
      destination.write('last words\n');

      destination.flush(200, (ms) => clock.advance(ms));

      assert.equal(clock.now(), 200);
      assert.equal(clock.numTimers, 0);
    });

    it('does not wait for a destination that fails', () => {
      const sink = new FakeSink('disk');
      const { destination } = open(sink);
      sink.room = 0;
      sink.failure = 'ENOSPC';
      destination.write('last words\n');

      destination.flush(200, () => assert.fail('it waits'));

      assert.equal(destination.numErrors, 2);
    });
  });
});
