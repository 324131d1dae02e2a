import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DeviceWish, decoderDevices } from '#backbone/decoder-devices.ts';
import { refusal } from '#test/refusal.ts';

const CORES = [0, 1, 2, 3, 6];

describe('decoderDevices', () => {
  const rows: readonly (readonly [DeviceWish, readonly string[]])[] = [
    [{ device: 'cpu' }, ['cpu']],
    [{ device: 'cpu:0,2' }, ['cpu:0,2']],
    [{ device: 'cpu', tensorParallelSize: 1 }, ['cpu']],
    [{ device: 'cpu:0,cpu:1' }, ['cpu:0', 'cpu:1']],
    [{ device: 'cuda:0,cuda:1', tensorParallelSize: 2 }, ['cuda:0', 'cuda:1']],
    [{ device: 'cpu', tensorParallelSize: 2 }, ['cpu:0-1', 'cpu:2-3,6']],
    [{ device: 'cpu:4-7', tensorParallelSize: 4 }, ['cpu:4', 'cpu:5', 'cpu:6', 'cpu:7']],
    [{ device: 'cpu:8,10', tensorParallelSize: 2 }, ['cpu:8', 'cpu:10']],
  ];
  for (const [wish, devices] of rows) {
    it(`are ${devices.join(' and ')} for ${JSON.stringify(wish)}`, () => {
      assert.deepEqual(decoderDevices(wish, CORES), devices);
    });
  }

  const refusals: readonly (readonly [string, DeviceWish, RegExp])[] = [
    [
      'another number than that of the list',
      { device: 'cpu:0,cpu:1', tensorParallelSize: 3 },
      /key "tensor-parallel-size": got 3, and "device" names 2 devices, cpu:0,cpu:1;/,
    ],
    [
      'one, since a list names more',
      { device: 'cpu:0,cpu:1', tensorParallelSize: 1 },
      /got 1, and "device" names 2/,
    ],
    [
      'more than there are cores',
      { device: 'cpu', tensorParallelSize: 6 },
      /got 6, and cpu has 5 cores/,
    ],
    [
      'more than one core',
      { device: 'cpu:3', tensorParallelSize: 2 },
      /got 2, and cpu:3 has one core/,
    ],
    [
      'several of one GPU',
      { device: 'cuda:2', tensorParallelSize: 2 },
      /names one, cuda:2; write each of them, such as cuda:0,cuda:1/,
    ],
  ];
  for (const [what, wish, message] of refusals) {
    it(`are refused if their number is ${what}`, () => {
      assert.throws(
        () => decoderDevices(wish, CORES),
        refusal('INVALID_REQUEST', message, 'tensor-parallel-size'),
      );
    });
  }
});
