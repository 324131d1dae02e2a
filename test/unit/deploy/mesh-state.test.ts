import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { MeshConfig } from '#deploy/local/config/config.ts';
import { runningMeshes, withMeshState } from '#deploy/local/mesh-state.ts';
import { BACKBONE, GATEWAY } from '#deploy/local/roles.ts';
import { stateFolders } from '#deploy/local/state-folder.ts';

const MESH: MeshConfig = {
  log: { logLevel: 'info', logFormat: 'json', logIsolation: false },
  file: '/etc/mesh.yaml',
  processes: [
    {
      role: BACKBONE,
      name: 'llm-backbone-2',
      values: { listen: '127.0.0.1:7001' },
      follows: [],
    },
    { role: GATEWAY, name: 'gateway', values: { host: '0.0.0.0', port: 7000 }, follows: [] },
  ],
};

describe('the state of a mesh', () => {
  let home = '';
  let folder = '';
  const env = () => ({ XDG_RUNTIME_DIR: home, HOME: home });
  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'autoglm-state-'));
    folder = join(home, 'autoglm');
  });
  after(() => rm(home, { recursive: true, force: true }));

  /** Finds the meshes of this test alone. */
  const found = async () =>
    (await runningMeshes(env())).filter(({ config }) => config === '/etc/mesh.yaml');

  it('is found while the mesh runs, and only then', async () => {
    const during = await withMeshState(MESH, env(), found);

    assert.deepEqual(
      during.map(({ pid, processes }) => ({ pid, processes })),
      [
        {
          pid: process.pid,
          processes: [
            { name: 'llm-backbone-2', role: 'llm-backbone', address: '127.0.0.1:7001' },
            { name: 'gateway', role: 'gateway', address: 'http://127.0.0.1:7000' },
          ],
        },
      ],
    );
    assert.deepEqual(await found(), []);
    assert.deepEqual(await readdir(folder), []);
  });

  it('is for its owner alone', async () => {
    await withMeshState(MESH, env(), async () => {
      const file = await stat(join(folder, `mesh-${process.pid}.json`));

      assert.equal(file.mode & 0o777, 0o600);
      assert.equal((await stat(folder)).mode & 0o777, 0o700);
    });
  });

  const stale = {
    'of a process that is gone': { pid: 2 ** 22 + 1, startTicks: '1' },
    'of a process whose id another one has': { pid: process.pid, startTicks: '1' },
    'that is no state': {},
  };
  for (const [name, content] of Object.entries(stale)) {
    it(`is removed when it is one ${name}`, async () => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const state = { config: '/etc/mesh.yaml', control: '', processes: [], ...content };
      await writeFile(join(folder, 'mesh-1.json'), JSON.stringify(state));

      assert.deepEqual(await found(), []);
      assert.deepEqual(await readdir(folder), []);
    });
  }

  it('is not believed in a folder that others may write', async () => {
    const open = join(home, 'open');
    await mkdir(join(open, 'autoglm'), { recursive: true });
    await chmod(join(open, 'autoglm'), 0o777);
    const elsewhere = { XDG_RUNTIME_DIR: open, XDG_STATE_HOME: home, HOME: home };

    await withMeshState(MESH, elsewhere, async () => {
      assert.deepEqual(await readdir(join(open, 'autoglm')), []);
      assert.equal((await readdir(folder)).length, 1);
    });
  });

  it('is looked for once where two variables name one folder', () => {
    const folders = stateFolders({ XDG_RUNTIME_DIR: '/a', XDG_STATE_HOME: '/a', HOME: '/b' });

    assert.deepEqual(folders.slice(0, 2), ['/a/autoglm', '/b/.local/state/autoglm']);
  });

  it('goes where the desktop says, else below the home, else to the temporary folder', () => {
    const folders = stateFolders({ XDG_RUNTIME_DIR: '/run/user/1', HOME: '/home/a' });

    assert.deepEqual(folders.slice(0, 2), ['/run/user/1/autoglm', '/home/a/.local/state/autoglm']);
    assert.match(folders[2] ?? '', /autoglm-\d+$/);
  });
});
