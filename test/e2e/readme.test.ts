import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { GOLDEN_CASES } from '#test/e2e/request/golden.ts';
import { partName } from '#test/e2e/request/phone-cases.ts';
import { AUTOGLM, type Mesh, property, startMesh } from './mesh.ts';

/** Every line of the README's `sh` blocks. */
const COMMANDS = [
  ...readFileSync(join(PACKAGE_ROOT, 'README.md'), 'utf8').matchAll(/```sh\n([\s\S]*?)```/g),
].flatMap(([, block = '']) => block.trim().split('\n'));

/** Commands that ask for a whole chat answer. */
const QUESTIONS = COMMANDS.filter(
  (command) => command.includes('/v1/chat/completions') && !command.includes('"stream":true'),
);

/** Returns the reference's answer to the question of a command. */
function referenceAnswer(command: string): string {
  const asked = GOLDEN_CASES.find(
    ({ content, enable_thinking }) =>
      enable_thinking && content.every((part) => command.includes(partName(part))),
  );
  assert(asked !== undefined, 'not in golden.json');
  return asked.reference;
}

interface Outcome {
  readonly status: number;
  readonly output: string;
}

/** Runs a command of the README against `mesh` instead of the default ports. */
function runAgainst(mesh: Mesh, command: string): Promise<Outcome> {
  const text = command
    .replace('http://127.0.0.1:8000', mesh.url)
    .replace('curl ', 'curl --fail-with-body --silent --show-error ')
    .replace('npx autoglm', `${process.execPath} ${AUTOGLM}`)
    .replace(/autoglm\.mjs (status|call)/, `autoglm.mjs $1 --config ${mesh.config}`)
    .replace('autoglm.mjs chat', `autoglm.mjs chat --url ${mesh.url}`);
  return new Promise((resolve) => {
    const child = execFile('bash', ['-c', text], (_, stdout, stderr) => {
      resolve({ status: child.exitCode ?? -1, output: stdout + stderr });
    });
    child.stdin?.end();
  });
}

describe("the README's commands", () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh();
  });
  after(() => mesh.stop());

  it('are there', () => {
    assert(COMMANDS.length > 8);
  });

  for (const command of COMMANDS) {
    it(`${command.slice(0, 90)} succeeds`, async () => {
      const { status, output } = await runAgainst(mesh, command);

      assert.equal(status, 0, output);
      assert.notEqual(output, '');
      assert.doesNotMatch(output, /"error"/);
    });
  }

  for (const command of QUESTIONS) {
    it(`${command.slice(0, 90)} asks what the model can answer`, async () => {
      const { output } = await runAgainst(mesh, command);

      const answer = property(JSON.parse(output), 'choices', 0, 'message', 'content');
      assert.equal(answer, referenceAnswer(command));
    });
  }
});
