import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync } from 'node:fs';
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

/** What `blocks` of a file counts in. */
const BLOCK_BYTES = 512;

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

  it('has its space before it is needed, and keeps it', () => {
    const file = new JournalFile();
    assert(file.fd !== undefined);
    const kept = () => fstatSync(file.fd ?? -1).blocks * BLOCK_BYTES;
    const before = kept();

    new StepJournal(file.fd).write(['a']);
    file.take();

    assert(before >= 65_536, `${before} bytes`);
    assert.equal(kept(), before);
  });
});

describe('StepJournal', () => {
  it('lets a step run whose keys cannot be written', (test) => {
    const fd = openSync('/dev/full', 'w');
    test.after(() => closeSync(fd));

    new StepJournal(fd).write(['a']);
  });

  it('keeps no keys of an earlier step when those of a later one are too many', () => {
    const file = new JournalFile();
    assert(file.fd !== undefined);
    const journal = new StepJournal(file.fd);

    journal.write(['a']);
    journal.write(['b'.repeat(65_536)]);

    assert.deepEqual(file.take(), []);
  });
});
