import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { codePath } from '#deploy/local/code-path.ts';
import type { Sight } from './bystander-process.ts';

/** Longest allowed silence in the stream of the other client, milliseconds. */
const MAX_GAP_MS = 1000;
/** Longest time that a health probe may take, milliseconds. */
const MAX_PROBE_MS = 500;

/**
 * Runs `attack` while another client streams one answer after the other, and asserts that this
 * client noticed nothing: every answer is whole and the same, and no silence is longer than a
 * second, and no probe of `/health` waits longer than half of one. It streams from a process of its own, so that the time to build a hostile body does not
 * count.
 */
export async function whileAnotherStreams<Result>(
  url: string,
  attack: () => Promise<Result>,
): Promise<Result> {
  const child = fork(codePath('test/e2e/alone/bystander-process'), [url]);
  try {
    await once(child, 'message');
    const result = await attack();
    child.send('stop');
    const [sight]: Sight[] = await once(child, 'message');
    assert(sight !== undefined);
    assert.deepEqual(sight.failures, []);
    assert.equal(sight.texts.length, 1, 'every answer says the same');
    assert(sight.longestGapMs < MAX_GAP_MS, `a stream stood still for ${sight.longestGapMs} ms`);
    assert(sight.longestProbeMs < MAX_PROBE_MS, `a probe waited for ${sight.longestProbeMs} ms`);
    return result;
  } finally {
    child.kill();
  }
}
