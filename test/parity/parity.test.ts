import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { codePath } from '#deploy/local/code-path.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { cpuFeatures, devices, type IsaLevel } from '#native';
import { PROGRAM_FLAGS } from '#test/program.ts';

const LEVELS: readonly IsaLevel[] = ['reference', 'avx2', 'avx512', 'amx'];
/** Fixtures with a language model, which a group of two can share; phone-nano has tests of its own. */
const LANGUAGE_MODELS = [
  'test/testdata/glm4-tiny',
  'test/testdata/glm4-tiny-bf16',
  'test/testdata/glm4-tiny-w8a8',
  'test/testdata/glm4-tiny-w4a16',
  'test/testdata/glm4v-tiny-sharded',
];
const DIRECTORIES = [
  'test/testdata/glm4-tiny',
  'test/testdata/glm4-tiny-bf16',
  'test/testdata/glm4-tiny-w8a8',
  'test/testdata/glm4-tiny-w4a16',
  'test/testdata/glm4v-tiny',
  'test/testdata/glm4v-tiny-sharded',
  'test/testdata/vit-tiny',
  'test/testdata/conformer-tiny',
  'test/testdata/parakeet-tiny',
  'test/testdata/resize',
  'test/testdata/text',
  'deploy/models/phone-nano',
];

const PARITY = codePath('test/parity/parity');

/** Tests of integer weights, which have no fixture: they compare with floats at the same level. */
const INTEGER_WEIGHTS = [
  'test/parity/quantize-at-load.test',
  'test/parity/quantized-checkpoints.test',
].map(codePath);

/** Runs a script at one level in a process of its own, because a process has one level. */
function runAt(
  isa: IsaLevel,
  script: readonly string[],
): Promise<{ readonly status: number; readonly output: string }> {
  const args = [...PROGRAM_FLAGS, ...script];
  // The child reports to nobody but its output.
  const env = { ...process.env, AUTOGLM_ISA: isa, NODE_TEST_CONTEXT: undefined };
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
      const { status, output } = await runAt(isa, [PARITY, ...DIRECTORIES]);

      assert.equal(status, 0, output);
      assert.equal(output.match(new RegExp(`\\(${isa}\\)`, 'g'))?.length, DIRECTORIES.length);
      assert.doesNotMatch(output, /^0 passed/m);
    });
    it(`holds for integer weights with the ${isa} kernels`, { skip }, async () => {
      const { status, output } = await runAt(isa, ['--test', ...INTEGER_WEIGHTS]);

      assert.equal(status, 0, output);
      assert.match(output, /^. pass [1-9]/m);
    });
  }

  const [cpu] = devices();
  const [first, second] = cpu?.cores ?? [];
  const skip = second === undefined && 'this process has one core';
  it('holds on a group of two devices', { skip }, async () => {
    const group = `cpu:${first},cpu:${second}`;
    const { isa } = cpuFeatures();
    const { status, output } = await runAt(isa, [PARITY, '--device', group, ...LANGUAGE_MODELS]);

    assert.equal(status, 0, output);
    assert.equal(output.split(`(${group}, ${isa})`).length - 1, LANGUAGE_MODELS.length);
    assert.match(output, /logits/);
    assert.match(output, /greedy/);
  });
});
