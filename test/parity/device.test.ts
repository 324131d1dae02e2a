import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cpuFeatures, describeDevice, deviceName, devices } from '#native';

describe('a device', () => {
  it('has a kind, the CPU first in the list', () => {
    assert.equal(devices()[0]?.kind, 'cpu');
  });

  it('says which levels of kernels a CPU can run', () => {
    assert.deepEqual(devices()[0]?.isaLevels, cpuFeatures().supported);
  });

  it('is found by its id, a set of cores as the CPU', () => {
    const [cpu] = devices();

    assert.deepEqual(describeDevice('cpu'), cpu);
    assert.deepEqual(describeDevice('cpu:0'), cpu);
    assert.deepEqual(describeDevice('cpu:0-1'), cpu);
  });

  it('is nothing if this machine has none of that id', () => {
    for (const id of ['cuda:99', 'tpu', 'cpus', ''])
      assert.equal(describeDevice(id), undefined, id);
  });

  it('is named with the cores that "cpu" stands for, and else as it was asked for', () => {
    assert.match(deviceName('cpu'), /^cpu:\d/);
    assert.equal(deviceName('cpu:0'), 'cpu:0');
    assert.equal(deviceName('cuda:99'), 'cuda:99');
  });
});
