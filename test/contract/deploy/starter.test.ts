import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { endChildren, noted } from '#test/children.ts';
import { Lines } from '#test/lines.ts';

const STARTER = join(PACKAGE_ROOT, 'deploy/bootstrap/starter.mjs');

/** Program that prints `watching` with its parent's id, and a line when its starter is gone. */
const STARTED = `import { watchStarter } from ${JSON.stringify(STARTER)};
  watchStarter(() => { console.log('starter gone'); process.exit(); });
  console.log('watching', process.ppid);
  setInterval(() => {}, 1e6);`;

interface Started {
  readonly npm: ChildProcess;
  readonly lines: Lines;
  /** Id of the shell between npm and the started process. */
  readonly shell: number;
}

/** Starts the program as npm does: a Node program runs a shell, which waits for the command. */
async function startByNpm(env: NodeJS.ProcessEnv): Promise<Started> {
  const script = `'${process.execPath}' --input-type=module --eval "$STARTED"; true`;
  const npm = spawn(
    process.execPath,
    [
      '--eval',
      `child_process.spawn('sh', ['-c', ${JSON.stringify(script)}], { stdio: 'inherit' })`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, STARTED, ...env } },
  );
  noted(npm);
  assert(npm.stdout !== null);
  const lines = new Lines(npm.stdout);
  const shell = Number((await lines.match(/^watching/)).split(' ')[1]);
  return { npm, lines, shell };
}

const BY_NPM = { npm_lifecycle_event: 'start', npm_node_execpath: process.execPath };

afterEach(endChildren);

describe('watchStarter', { skip: process.platform === 'linux' ? false : 'Linux only' }, () => {
  it('tells when the shell is killed that npm started', async () => {
    const { lines, shell } = await startByNpm(BY_NPM);

    process.kill(shell, 'SIGTERM');

    await lines.match(/starter gone/);
    await lines.ended;
  });

  it('tells when npm is killed and its shell stays', async () => {
    const { npm, lines } = await startByNpm(BY_NPM);

    npm.kill('SIGKILL');

    await lines.match(/starter gone/);
    await lines.ended;
  });

  const unrelated = [
    { name: 'nothing was started by npm', env: { npm_lifecycle_event: undefined } },
    {
      name: 'the variables of npm came by a terminal it once started',
      env: { ...BY_NPM, npm_node_execpath: '/usr/bin/another-node' },
    },
  ];
  for (const { name, env } of unrelated) {
    it(`watches nothing where ${name}`, async () => {
      const code = `import { starters } from ${JSON.stringify(STARTER)};
        console.log(JSON.stringify(starters(process.env)));`;
      const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, ...env },
      });

      assert.equal(await new Lines(child.stdout).match(/./), '[]');
    });
  }
});
