import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeProgress, withLoadProgress } from '#mesh/process/load-progress.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { memoryLog } from '#test/memory-log.ts';

const GIB = 1024 ** 3;

describe('the progress of a load', () => {
  it('is a line every second until it is over', async () => {
    const { log, lines } = memoryLog();
    const clock = new FakeClock();
    let resolve: (value: string) => void = () => {};
    const promise = new Promise<string>((settle) => {
      resolve = settle;
    });
    let doneBytes = 0;
    const load = withLoadProgress(
      (watch) => {
        watch(() => ({ doneBytes, totalBytes: 8 * GIB }));
        return promise;
      },
      { log, clock, what: 'the weights of glm' },
    );

    clock.advance(900);
    assert.equal(lines.length, 0);
    doneBytes = 2 * GIB;
    clock.advance(100);
    doneBytes = 6 * GIB;
    clock.advance(1000);
    resolve('loaded');

    assert.equal(await load, 'loaded');
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      [
        'loading the weights of glm: 25 %, 2.0 of 8.0 GiB, 2.15 GB/s, about 3 s left',
        'loading the weights of glm: 75 %, 6.0 of 8.0 GiB, 3.22 GB/s, about 1 s left',
      ],
    );
    assert.equal(clock.numTimers, 0);
  });

  it('ends with a load that fails', async () => {
    const clock = new FakeClock();
    const { log } = memoryLog();
    const fail = () => Promise.reject(new Error('no'));

    await assert.rejects(withLoadProgress(fail, { log, clock, what: 'x' }), /no/);
    assert.equal(clock.numTimers, 0);
  });

  it('names no end that it cannot know', () => {
    const start = { doneBytes: 0, elapsedMs: 10_000, totalBytes: GIB };

    assert.equal(describeProgress(start), '0 %, 0.0 of 1.0 GiB, 0.00 GB/s');
    assert.equal(describeProgress({ ...start, totalBytes: 0 }), '10 s so far');
  });
});
