import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deviceList } from '#mesh/devices/device-list.ts';

describe('deviceList', () => {
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ['cpu', ['cpu']],
    ['cpu:0', ['cpu:0']],
    ['cpu:0,2', ['cpu:0,2']],
    ['cpu:0,cpu:1', ['cpu:0', 'cpu:1']],
    ['cpu:0-1,4,cpu:2-3, cpu:5', ['cpu:0-1,4', 'cpu:2-3', 'cpu:5']],
    ['cuda:0,cuda:1', ['cuda:0', 'cuda:1']],
    ['', ['']],
  ];
  for (const [text, devices] of rows) {
    it(`finds ${devices.length} in "${text}"`, () => {
      assert.deepEqual(deviceList(text), devices);
    });
  }
});
