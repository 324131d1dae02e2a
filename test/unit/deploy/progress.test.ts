import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

const PROGRESS = join(PACKAGE_ROOT, 'deploy/bootstrap/progress.mjs');

/** Evaluates an expression with the module, as before anything is installed. */
async function evaluate(expression: string): Promise<unknown> {
  const code = `import * as progress from ${JSON.stringify(PROGRESS)};
    console.log(JSON.stringify(${expression}) ?? 'null');`;
  const args = ['--input-type=module', '--eval', code];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout);
}

/** Code that shows a stage of 22 s of which a third is known to be done after 10 s. */
const STAGE = (isTTY: boolean) => `(() => {
  let text = '';
  let ms = 0;
  let show;
  globalThis.setInterval = (action) => ({ unref() { show = action; } });
  globalThis.clearInterval = () => {};
  const stream = { isTTY: ${isTTY}, write: (piece) => { text += piece; } };
  const { report, end } = progress.beginProgress('building', stream, () => ms);
  report(1 / 3);
  ms = 10_000;
  show();
  end('22.0 s');
  return text;
})()`;

describe('the progress of a set-up', () => {
  const lines = [
    { line: '[ 34%] Building CXX object a.cc.o', share: 0.34 },
    { line: '[12/80] Building CXX object a.cc.o', share: 0.15 },
    { line: '-- Configuring done', share: null },
  ];
  for (const { line, share } of lines) {
    it(`is read from "${line}"`, async () => {
      assert.equal(await evaluate(`progress.shareOf(${JSON.stringify(line)})`), share);
    });
  }

  it('is another line where the output is kept', async () => {
    assert.equal(
      await evaluate(STAGE(false)),
      '[set-up] building ... 33 %, about 20 s left\n[set-up] building ... 22.0 s\n',
    );
  });

  it('is the same line on a terminal', async () => {
    const clear = '\r\u001b[K';
    assert.equal(
      await evaluate(STAGE(true)),
      `[set-up] building ...${clear}[set-up] building ... 33 %, about 20 s left${clear}[set-up] building ... 22.0 s\n`,
    );
  });

  it('tells the time alone as long as little is done', async () => {
    assert.equal(await evaluate('progress.describeProgress(undefined, 20_000)'), '20 s so far');
    assert.equal(await evaluate('progress.describeProgress(0.01, 20_000)'), '20 s so far');
  });
});
