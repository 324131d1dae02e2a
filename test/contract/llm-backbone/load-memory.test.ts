import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { codePath } from '#deploy/local/code-path.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { NARROW_GLM4V, writeGlm4vCheckpoint } from '#test/checkpoint/glm4v-checkpoint.ts';
import { PROGRAM_FLAGS } from '#test/program.ts';

const LOAD_ONCE = codePath('test/contract/llm-backbone/load-once');
const ADDON = join(PACKAGE_ROOT, 'build', 'native', 'autoglm.node');
const skip = existsSync(ADDON) ? false : `${ADDON} is not built`;

/** A checkpoint whose file, beside its packed copy, would be more than what a load may take. */
const SHAPE = { ...NARROW_GLM4V, textLayers: 6, hiddenSize: 2048, intermediateSize: 6144 };
const FIXED_BYTES = 300e6;
const SHARE_OF_WEIGHTS = 1.1;

interface Loaded {
  readonly peakBytes: number;
  readonly weightBytes: number;
}

async function loadOnce(...args: string[]): Promise<Loaded> {
  const child = fork(LOAD_ONCE, args, { execArgv: [...PROGRAM_FLAGS] });
  const exited = once(child, 'exit');
  const [loaded] = await once(child, 'message');
  await exited;
  return loaded;
}

describe('the memory of a load', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'load-memory-'));
  before(() => writeGlm4vCheckpoint(directory, SHAPE));
  after(() => rmSync(directory, { recursive: true }));

  for (const quantize of ['none', 'int8', 'int4']) {
    it(`is never more than 1.1 times the weights and 300 MB: ${quantize}`, async () => {
      const { peakBytes, weightBytes } = await loadOnce(directory, quantize);

      const limit = SHARE_OF_WEIGHTS * weightBytes + FIXED_BYTES;
      assert(peakBytes < limit, `${peakBytes} bytes at most, ${weightBytes} of them weights`);
    });
  }
});
