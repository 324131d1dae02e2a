import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { type Body, postChat } from '#test/e2e/request/chat-request.ts';
import { GOLDEN_CASES, GOLDEN_TEXTS } from '#test/e2e/request/golden.ts';
import { partName } from '#test/e2e/request/phone-cases.ts';
import { readmeBlocks } from '#test/readme.ts';
import { AUTOGLM, type Mesh, property, startMesh } from './mesh.ts';

/** Every line of the README's `sh` blocks. */
const COMMANDS = readmeBlocks('sh').flatMap((block) => block.split('\n'));

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

/** Reads the request that a Python program makes: its arguments are literals that JSON nearly has. */
function pythonRequest(program: string): Body {
  const [, args = ''] = /completions\.create\(([\s\S]*?)\n\)/.exec(program) ?? [];
  const json = args
    .replaceAll('False', 'false')
    .replaceAll(/^ {4}(\w+)=/gm, '"$1": ')
    .replace(/,\s*$/, '');
  return JSON.parse(`{${json}}`);
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
    .replace(/autoglm\.mjs (status|scale|restart|call)/, `autoglm.mjs $1 --config ${mesh.config}`)
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
      assert.doesNotMatch(output, /"error":(?!null)/);
    });
  }

  for (const command of QUESTIONS) {
    it(`${command.slice(0, 90)} asks what the model can answer`, async () => {
      const { output } = await runAgainst(mesh, command);

      const answer = property(JSON.parse(output), 'choices', 0, 'message', 'content');
      if (command.includes('"response_format"')) JSON.parse(String(answer));
      else assert.equal(answer, referenceAnswer(command));
    });
  }

  it('and its program for Node prints what the model answers', async () => {
    const [program = ''] = readmeBlocks('js');
    // Packages are found from the folder of the module.
    const file = join(PACKAGE_ROOT, 'test', `readme-example-${process.pid}.mjs`);
    await writeFile(file, program.replace('http://127.0.0.1:8000', mesh.url));
    const { stdout } = await promisify(execFile)(process.execPath, [file]).finally(() => rm(file));

    const asked = GOLDEN_TEXTS.find(({ question }) => program.includes(question));
    assert.equal(stdout, asked?.answer);
  });

  it('and its program for Python asks what the model can answer', async () => {
    const [program = ''] = readmeBlocks('python');
    const { status, body } = await postChat(mesh.url, pythonRequest(program));

    assert.match(program, /base_url="http:\/\/127.0.0.1:8000\/v1"/);
    assert.equal(status, 200, JSON.stringify(body));
    const asked = GOLDEN_TEXTS.find(
      ({ question, enableThinking }) => !enableThinking && program.includes(question),
    );
    assert.equal(property(body, 'choices', 0, 'message', 'content'), asked?.answer);
  });
});
