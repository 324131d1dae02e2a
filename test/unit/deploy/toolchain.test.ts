import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { scratchFolder } from '#test/scratch-folder.ts';

const TOOLCHAIN = join(PACKAGE_ROOT, 'deploy/bootstrap/toolchain.mjs');

/** Runs a line of JavaScript with the module, as before anything is installed. */
async function evaluate(line: string, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const code = `import { requireNode, requireBuildTools } from ${JSON.stringify(TOOLCHAIN)};
    try { ${line}; console.log('accepted'); } catch (error) { console.log(error.message); }`;
  const args = ['--input-type=module', '--eval', code];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  return stdout.trim();
}

/** Makes a PATH that holds these programs alone. */
async function pathWith(...names: readonly string[]): Promise<string> {
  const folder = scratchFolder('toolchain');
  for (const name of names) await symlink(process.execPath, join(folder, name));
  return folder;
}

const WANTED = 'autoglm-mesh needs Node 20.19 or newer, but not 21';

describe('the set-up', () => {
  const versions = [
    { version: '18.20.0', says: `${WANTED}; this is 18.20.0.` },
    { version: '20.18.3', says: `${WANTED}; this is 20.18.3.` },
    { version: '20.19.0', says: 'accepted' },
    { version: '21.7.3', says: `${WANTED}; this is 21.7.3.` },
    { version: '22.0.0', says: 'accepted' },
  ];
  for (const { version, says } of versions) {
    it(`says of Node ${version}: ${says}`, async () => {
      assert.equal(await evaluate(`requireNode('${version}')`), says);
    });
  }

  const tools = [
    { present: ['g++', 'make', 'cmake'], says: 'accepted' },
    { present: ['clang++', 'ninja', 'cmake'], says: 'accepted' },
    {
      present: ['g++', 'make'],
      says: 'autoglm-mesh needs CMake; install with: apt-get install -y build-essential cmake',
    },
    {
      present: [],
      says: 'autoglm-mesh needs a C++ compiler and make or ninja and CMake; install with: apt-get install -y build-essential cmake',
    },
  ];
  for (const { present, says } of tools) {
    it(`says with ${present.join(', ') || 'nothing'} installed: ${says}`, async () => {
      const env = { PATH: await pathWith(...present) };

      assert.equal(await evaluate('requireBuildTools()', env), says);
    });
  }
});
