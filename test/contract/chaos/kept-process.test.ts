import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { within } from '#test/bounded.ts';
import { KeptProcess } from '#test/chaos/mesh/kept-process.ts';

/** A process that writes its id and lives on until it is told to end, or its channel closes. */
const PROGRAM =
  'console.log(process.pid); process.on("SIGTERM", () => process.exit(0)); process.on("disconnect", () => process.exit(1));';
const LOOK_MS = 10;

describe('KeptProcess', () => {
  let folder = '';
  let kept: KeptProcess;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'autoglm-kept-'));
    kept = new KeptProcess({
      name: 'program',
      command: process.execPath,
      args: ['-e', PROGRAM],
      logPath: join(folder, 'log'),
      hasChannel: true,
      endSignal: 'SIGKILL',
    });
    kept.start();
  });
  afterEach(async () => {
    await kept.close();
    await rm(folder, { recursive: true });
  });

  async function pids(): Promise<readonly number[]> {
    const text = await readFile(join(folder, 'log'), 'utf8').catch(() => '');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map(Number);
  }

  /** Waits until so many runs of the process have begun; resolves to their ids. */
  function numRuns(count: number): Promise<readonly number[]> {
    const look = async () => {
      for (;;) {
        const found = await pids();
        if (found.length >= count) return found;
        await delay(LOOK_MS);
      }
    };
    return within(look(), { what: `run ${count} of the process` });
  }

  it('starts the process again after it was killed, and after it ended by itself', async () => {
    const [first] = await numRuns(1);

    await kept.end('SIGKILL');
    await numRuns(2);
    await kept.end('SIGTERM');
    const all = await numRuns(3);

    assert.equal(new Set(all).size, 3);
    assert.equal(all[0], first);
  });

  it('leaves no process when it is closed, a stopped one included', async () => {
    const [pid] = await numRuns(1);
    kept.signal('SIGSTOP');

    await kept.close();

    assert(pid !== undefined);
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    assert.deepEqual(await pids(), [pid]);
  });
});
