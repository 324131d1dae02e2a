import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { cpuFeatures, type IsaLevel } from '#native';

const LEVELS: readonly IsaLevel[] = ['reference', 'avx2', 'avx512', 'amx'];
const DIRECTORIES = [
  'test/testdata/glm4-tiny',
  'test/testdata/glm4-tiny-bf16',
  'test/testdata/glm4v-tiny',
  'test/testdata/glm4v-tiny-sharded',
  'test/testdata/vit-tiny',
  'test/testdata/conformer-tiny',
  'test/testdata/parakeet-tiny',
  'test/testdata/resize',
  'test/testdata/text',
  'deploy/models/phone-nano',
];

/** Runs the comparison at one level in a process of its own, because a process has one level. */
function runParity(isa: IsaLevel): Promise<{ readonly status: number; readonly output: string }> {
  const script = join(PACKAGE_ROOT, 'test/parity/parity.ts');
  const args = ['--conditions=source', '--import', 'tsx', script, ...DIRECTORIES];
  const env = { ...process.env, AUTOGLM_ISA: isa };
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: PACKAGE_ROOT, env }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : 1, output: stdout + stderr });
    });
  });
}

describe('parity with the reference implementation', () => {
  const { supported } = cpuFeatures();
  for (const isa of LEVELS) {
    const skip = supported.includes(isa) ? false : `this machine has no ${isa}`;
    it(`holds on every fixture with the ${isa} kernels`, { skip }, async () => {
      const { status, output } = await runParity(isa);

      assert.equal(status, 0, output);
      assert.equal(output.match(new RegExp(`\\(${isa}\\)`, 'g'))?.length, DIRECTORIES.length);
      assert.doesNotMatch(output, /^0 passed/m);
    });
  }
});
