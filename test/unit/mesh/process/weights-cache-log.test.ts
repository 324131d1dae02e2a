import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { logWeightsCache } from '#mesh/process/weights-cache-log.ts';
import { memoryLog } from '#test/memory-log.ts';

const INFO = 30;
const WARN = 40;

/** Returns the lines about a file of 2 GiB. */
function linesOf(outcome: 'mapped' | 'written' | 'unused', reason: string) {
  const { log, lines } = memoryLog();
  const weightsCache = { outcome, path: '/cache/glm.weights', reason };
  logWeightsCache(log, { weightBytes: 2 * 1024 ** 3, weightsCache });
  return lines.map(({ level, msg }) => [level, msg]);
}

describe('the log of packed weights that are kept', () => {
  it('says that they are mapped, and whether they were written first', () => {
    assert.deepEqual(linesOf('mapped', ''), [
      [INFO, 'weights mapped: 2.00 GiB of /cache/glm.weights'],
    ]);
    assert.deepEqual(linesOf('written', ''), [
      [INFO, 'weights written and mapped: 2.00 GiB of /cache/glm.weights'],
    ]);
  });

  it('warns of a file that had to be written again', () => {
    assert.deepEqual(linesOf('written', '/cache/glm.weights: is cut short'), [
      [WARN, '/cache/glm.weights: is cut short; it was written again'],
      [INFO, 'weights written and mapped: 2.00 GiB of /cache/glm.weights'],
    ]);
  });

  it('warns of a folder that cannot be used', () => {
    assert.deepEqual(linesOf('unused', '/cache/glm.weights.7.tmp: No space left on device'), [
      [
        WARN,
        'the packed weights (2.00 GiB) are not kept: /cache/glm.weights.7.tmp: No space left on device',
      ],
    ]);
  });

  it('says nothing without a folder', () => {
    const { log, lines } = memoryLog();

    logWeightsCache(log, { weightBytes: 1, weightsCache: null });

    assert.deepEqual(lines, []);
  });
});
