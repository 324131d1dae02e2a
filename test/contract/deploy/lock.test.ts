import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { endChildren, noted } from '#test/children.ts';
import { Lines } from '#test/lines.ts';

const LOCK = join(PACKAGE_ROOT, 'deploy/bootstrap/lock.mjs');

interface Holder {
  readonly child: ChildProcess;
  readonly lines: Lines;
}

/** File in which the holders of a test note, one after the other, that they begin and end. */
const journal = join(mkdtempSync(join(tmpdir(), 'lock-')), 'journal');
after(() => rmSync(dirname(journal), { recursive: true }));

/**
 * Starts a process that takes the lock under a name of its own and keeps it until its input ends.
 */
function takeLock(name: string): Holder {
  const code = `import { appendFileSync } from 'node:fs';
    import { exclusively } from ${JSON.stringify(LOCK)};
    const note = (what) => appendFileSync(${JSON.stringify(journal)}, '${name} ' + what + '\\n');
    const work = () => new Promise((resolve) => {
      note('begins');
      console.log('held');
      process.stdin.on('end', () => {
        note('ends');
        resolve();
      }).resume();
    });
    await exclusively(work, () => console.log('waiting'), ${JSON.stringify(name)});`;
  const child = noted(
    spawn(process.execPath, ['--input-type=module', '--eval', code], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  assert(child.stdout !== null);
  return { child, lines: new Lines(child.stdout) };
}

afterEach(endChildren);

describe('exclusively', { skip: process.platform === 'linux' ? false : 'Linux only' }, () => {
  it('lets the next in when the holder is done', async () => {
    const first = takeLock('done');
    await first.lines.match(/held/);
    const second = takeLock('done');
    await second.lines.match(/waiting/);

    first.child.stdin?.end();

    await second.lines.match(/held/);
    second.child.stdin?.end();
  });

  it('lets the next in when the holder is killed', async () => {
    const first = takeLock('killed');
    await first.lines.match(/held/);
    const second = takeLock('killed');
    await second.lines.match(/waiting/);

    first.child.kill('SIGKILL');

    await second.lines.match(/held/);
    second.child.stdin?.end();
  });

  it('lets several that wait in one after the other', async () => {
    const first = takeLock('several');
    await first.lines.match(/held/);
    const others = [takeLock('several'), takeLock('several')];
    for (const { lines } of others) await lines.match(/waiting/);

    first.child.stdin?.end();
    const second = await Promise.race(
      others.map(async (one) => {
        await one.lines.match(/held/);
        return one;
      }),
    );
    // One more process waits for the lock. By then a holder that wrongly did not wait has written
    // its line.
    const last = takeLock('several');
    await last.lines.match(/waiting/);
    second.child.stdin?.end();

    // Nobody says in which order those that wait come in.
    for (const { child } of [...others, last]) child.stdin?.end();
    for (const { lines } of [...others, last]) {
      await lines.match(/held/);
      await lines.ended;
    }
    const notes = readFileSync(journal, 'utf8').match(/several \w+/g);
    assert.deepEqual(notes, Array(4).fill(['several begins', 'several ends']).flat());
  });
});
