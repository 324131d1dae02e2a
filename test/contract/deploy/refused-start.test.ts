import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SupervisedProcess } from '#deploy/local/supervised-process.ts';
import { Suspects } from '#deploy/local/suspects.ts';
import { systemClock } from '#mesh/async/clock.ts';
import { within } from '#test/bounded.ts';
import { memoryLog } from '#test/memory-log.ts';
import { scripted } from './scripted-role.ts';

const POLICY = { firstDelayMs: 10, maxDelayMs: 10, factor: 1, stableRunMs: 1, jitter: 0 };

describe('a process that the system does not start again', () => {
  it('is tried until it does', async (test) => {
    const good = await scripted('gateway', { behaviour: 'obey', drainTimeoutS: 0 });
    // No argument of a program may be so long: what Node then throws, it throws without memory too.
    const environment = { TOO_LONG: 'x'.repeat(1 << 20) };
    const refused = { ...good, role: { ...good.role, environment } };
    const { log, lines } = memoryLog();
    const meshStopping = new AbortController().signal;
    const suspects = new Suspects(systemClock);
    const options = { log, policy: POLICY, suspects, membersOf: () => [], meshStopping };
    const supervised = new SupervisedProcess(good, options);
    const run = supervised.run();
    test.after(() => supervised.kill());
    await within(supervised.started(meshStopping), { what: 'a start' });

    supervised.reconfigure(refused);
    process.kill(supervised.pid ?? 0, 'SIGKILL');
    const isTriedAgain = async () => {
      while (supervised.numRestarts < 2) {
        await supervised.changes.after(supervised.changes.count, { signal: meshStopping });
      }
    };
    await within(isTriedAgain(), { what: 'a second attempt' });
    supervised.reconfigure(good);
    await within(supervised.started(meshStopping), { what: 'another start' });

    assert.notEqual(supervised.pid, undefined);
    const refusals = lines.filter(({ msg }) => msg === 'cannot start gateway');
    assert(refusals.length >= 1, JSON.stringify(lines));
    supervised.kill();
    await run;
  });
});
