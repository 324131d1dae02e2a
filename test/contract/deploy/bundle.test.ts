import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

const SOURCES = ['deploy', 'gateway', 'native', 'protos', 'services', 'package.json'];

/** Bundles, and prints the ids of the child processes that are left two seconds later. */
const BUNDLE = `
  const { bundle } = await import('./deploy/bootstrap/bundle.mjs');
  const { readFileSync } = await import('node:fs');
  const children = () => readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8');
  await bundle({ modules: ['gateway/main.ts'], chunks: 'chunks' });
  for (let i = 0; i < 40 && children() !== ''; i++) await new Promise((end) => setTimeout(end, 50));
  process.stdout.write(children());
`;

describe('bundling', () => {
  it('leaves no process behind', (test) => {
    const tree = mkdtempSync(join(tmpdir(), 'autoglm-programs-'));
    test.after(() => rmSync(tree, { recursive: true, force: true }));
    for (const path of SOURCES) {
      const filter = (source: string) => !source.endsWith('deploy/models');
      cpSync(join(PACKAGE_ROOT, path), join(tree, path), { recursive: true, filter });
    }
    symlinkSync(join(PACKAGE_ROOT, 'node_modules'), join(tree, 'node_modules'));

    const args = ['--input-type=module', '-e', BUNDLE];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: tree,
      encoding: 'utf8',
    });

    assert.deepEqual([status, stderr, stdout], [0, '', '']);
    assert(existsSync(join(tree, 'build/gateway/main.js')));
  });
});
