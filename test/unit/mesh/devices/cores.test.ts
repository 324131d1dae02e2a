import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { shareCores, usableCores } from '#mesh/devices/cores.ts';

describe('shareCores', () => {
  const rows: readonly [readonly number[], number, readonly string[]][] = [
    [[0, 1], 2, ['cpu:0', 'cpu:1']],
    [[0, 1], 1, ['cpu:0-1']],
    [[0], 2, ['cpu:0', 'cpu:0']],
    [[3], 3, ['cpu:3', 'cpu:3', 'cpu:3']],
    [[0, 1, 2, 3, 4], 2, ['cpu:0-1', 'cpu:2-4']],
    [[0, 1, 2, 8, 9, 12], 2, ['cpu:0-2', 'cpu:8-9,12']],
    [[0, 1], 0, []],
  ];
  for (const [cores, numProcesses, devices] of rows) {
    it(`deals ${cores.join()} out to ${numProcesses}`, () => {
      assert.deepEqual(shareCores(cores, numProcesses), devices);
    });
  }
});

describe('usableCores', () => {
  it('counts as many as nproc does', () => {
    assert.equal(usableCores().length, Number(execFileSync('nproc', { encoding: 'utf8' })));
  });
});
