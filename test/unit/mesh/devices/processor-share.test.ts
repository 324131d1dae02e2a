import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { usableCores } from '#mesh/devices/cores.ts';
import { processorShare } from '#mesh/devices/processor-share.ts';

/** Share that a machine with these files of proc and sys gives. */
async function shareWith(files: Readonly<Record<string, string>>): Promise<number | undefined> {
  const root = await mkdtemp(join(tmpdir(), 'cgroup-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(root, name)), { recursive: true });
      await writeFile(join(root, name), text);
    }
    return processorShare(root);
  } finally {
    await rm(root, { recursive: true });
  }
}

describe('processorShare', () => {
  const rows: readonly [string, Readonly<Record<string, string>>, number | undefined][] = [
    ['a machine without control groups', {}, undefined],
    [
      'the lowest quota above a service',
      {
        'proc/self/cgroup': '0::/system.slice/mesh.service\n',
        'sys/fs/cgroup/cpu.max': 'max 100000\n',
        'sys/fs/cgroup/system.slice/cpu.max': '250000 100000\n',
        'sys/fs/cgroup/system.slice/mesh.service/cpu.max': '800000 100000\n',
      },
      3,
    ],
    [
      'a container whose group is mounted as the top',
      { 'proc/self/cgroup': '0::/docker/outside\n', 'sys/fs/cgroup/cpu.max': '50000 100000\n' },
      1,
    ],
    [
      'version 1',
      {
        'proc/self/cgroup': '5:cpu,cpuacct:/pod\n4:memory:/other\n',
        'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
        'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
        'sys/fs/cgroup/cpu/pod/cpu.cfs_quota_us': '400000\n',
        'sys/fs/cgroup/cpu/pod/cpu.cfs_period_us': '100000\n',
      },
      4,
    ],
  ];
  for (const [title, files, share] of rows) {
    it(`reads ${title}`, async () => {
      assert.equal(await shareWith(files), share);
    });
  }
});

describe('usableCores under a share of processor time', () => {
  it('takes as many neighbouring cores as the share, from the first to the last', () => {
    const all = usableCores(undefined);

    assert.deepEqual(usableCores(1, 0), all.slice(0, 1));
    assert.deepEqual(usableCores(1, 0.999), all.slice(-1));
    assert.deepEqual(usableCores(all.length + 3, 0.5), all);
  });
});
