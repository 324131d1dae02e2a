import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import {
  type GpuList,
  mayHaveGpus,
  NO_GPUS,
  type OwnDeviceWish,
  ownDevice,
} from '#mesh/devices/gpus.ts';

const folder = mkdtempSync(join(tmpdir(), 'driver-'));
after(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, 'libcuda.so.1'), '');

const WITH_DRIVER = { LD_LIBRARY_PATH: `/nowhere:${folder}` };

describe('mayHaveGpus', () => {
  it('finds a driver among the libraries of a process', () => {
    assert.equal(mayHaveGpus(WITH_DRIVER), true);
  });

  for (const visible of ['', '-1']) {
    it(`is false where CUDA_VISIBLE_DEVICES is "${visible}"`, () => {
      assert.equal(mayHaveGpus({ ...WITH_DRIVER, CUDA_VISIBLE_DEVICES: visible }), false);
    });
  }
});

const gpu = (id: string) => ({ id, name: 'NVIDIA H200' });

describe('ownDevice', () => {
  const rows: readonly (readonly [OwnDeviceWish, GpuList, string])[] = [
    [{ device: 'cpu:0-1' }, { gpus: [gpu('cuda:0')], refusals: [] }, 'cpu:0-1'],
    [{ device: 'auto' }, NO_GPUS, 'cpu'],
    [{ device: 'auto' }, { gpus: [gpu('cuda:1'), gpu('cuda:2')], refusals: ['why'] }, 'cuda:1'],
    [
      { device: 'auto', tensorParallelSize: 2 },
      { gpus: [gpu('cuda:0'), gpu('cuda:1'), gpu('cuda:2')], refusals: [] },
      'cuda:0,cuda:1',
    ],
  ];
  for (const [wish, list, device] of rows) {
    it(`is ${device} for ${JSON.stringify(wish)} and ${list.gpus.length} GPUs`, () => {
      const lines: string[] = [];
      const log = { warn: (line: string) => lines.push(line) };

      assert.equal(ownDevice(wish, { listGpus: () => list, log, env: WITH_DRIVER }), device);
      assert.deepEqual(
        lines,
        list.refusals.map((why) => `device auto: a GPU is left out: ${why}`),
      );
    });
  }

  it('asks no driver where there is none', () => {
    const listGpus = () => assert.fail('asked');
    const env = { ...WITH_DRIVER, CUDA_VISIBLE_DEVICES: '' };

    const device = ownDevice({ device: 'auto' }, { listGpus, log: { warn: assert.fail }, env });

    assert.equal(device, 'cpu');
  });
});
