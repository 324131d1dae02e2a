import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { JournalFile } from '#deploy/local/journal-file.ts';
import { Suspects } from '#deploy/local/suspects.ts';
import { StepJournal } from '#mesh/process/step-journal.ts';
import { FakeClock } from '#test/fake-clock.ts';

describe('Suspects', () => {
  it('counts the crashes of content, and tells of every change', () => {
    const suspects = new Suspects(new FakeClock());
    const told: string[] = [];
    suspects.onChange((all) => told.push(all.map((one) => `${one.key}${one.numDeaths}`).join(' ')));

    suspects.crashed(['a', 'b']);
    suspects.crashed(['b']);
    suspects.cleared('a');

    assert.deepEqual(told, ['a1 b1', 'a1 b2', 'b2']);
  });

  it('forgets content ten minutes after its last crash', () => {
    const clock = new FakeClock();
    const suspects = new Suspects(clock);
    suspects.crashed(['a']);
    clock.advance(400_000);
    suspects.crashed(['a']);

    clock.advance(599_999);
    assert.deepEqual(suspects.all, [{ key: 'a', numDeaths: 2 }]);
    clock.advance(1);

    assert.deepEqual(suspects.all, []);
    assert.equal(clock.numTimers, 0);
  });

  it('keeps the thousand newest', () => {
    const clock = new FakeClock();
    const suspects = new Suspects(clock);

    suspects.crashed(Array.from({ length: 1001 }, (_, i) => String(i)));

    assert.equal(suspects.all.length, 1000);
    assert.equal(suspects.all.at(-1)?.key, '1000');
    assert.equal(clock.numTimers, 1000);
  });
});

describe('JournalFile', () => {
  it('gives what was written last, whatever was there before, and once', () => {
    const file = new JournalFile();
    assert(file.fd !== undefined);
    const journal = new StepJournal(file.fd);

    journal.write(['first', 'second', 'third']);
    journal.write(['a']);

    assert.deepEqual(file.take(), ['a']);
    assert.deepEqual(file.take(), []);
  });

  it('gives nothing of a process that computed nothing when it ended', () => {
    const file = new JournalFile();
    assert(file.fd !== undefined);
    const journal = new StepJournal(file.fd);

    journal.write(['a', 'b']);
    journal.write([]);

    assert.deepEqual(file.take(), []);
  });
});
