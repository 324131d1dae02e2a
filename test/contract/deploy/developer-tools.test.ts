import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { programArgs } from '#test/program.ts';

function run(file: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const flags = programArgs(file.replace(/\.ts$/, ''));
  const { status, stderr } = spawnSync(process.execPath, [...flags, ...args], {
    cwd: PACKAGE_ROOT,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { status, stderr };
}

const REFUSED = [
  { file: 'test/parity/parity.ts', args: ['DIR'], says: /^parity: DIR does not exist; / },
  { file: 'test/parity/parity.ts', args: ['deploy'], says: /^parity: deploy has no golden\.json/ },
  { file: 'test/perf/bench.ts', args: ['foo'], says: /^bench: no bench "foo"; there are native/ },
  { file: 'test/perf/bench.ts', args: ['decoed'], says: /did you mean "decode"\?/ },
  { file: 'test/perf/bench.ts', args: ['--stpes', '1'], says: /unknown flag --stpes; did you/ },
  { file: 'test/eval/eval.ts', args: ['--urll', 'x'], says: /^eval: unknown flag --urll/ },
];

describe('the tools for developers', () => {
  for (const { file, args, says } of REFUSED) {
    it(`refuse ${file} ${args.join(' ')} in one line, with status 2`, () => {
      const { status, stderr } = run(file, args);

      assert.match(stderr, says);
      assert.equal(stderr.trimEnd().split('\n').length, 1);
      assert.equal(status, 2);
    });
  }

  it('name a level of the kernels that there is not', () => {
    const nano = ['deploy/models/phone-nano'];
    const { status, stderr } = run('test/parity/parity.ts', nano, { AUTOGLM_ISA: 'nonsense' });

    assert.match(stderr, /^parity: AUTOGLM_ISA=nonsense is not a level; levels: reference, avx2/);
    assert.equal(status, 2);
  });
});
