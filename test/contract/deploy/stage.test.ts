import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

const BOOTSTRAP = join(PACKAGE_ROOT, 'deploy/bootstrap');

interface SetUp {
  readonly child: ChildProcess;
  /** Resolves when the tool, and what it started, have ended. */
  readonly toolsEnded: Promise<unknown>;
}

/** A set-up whose tool, and a process that this has started, do not end by themselves. */
async function setUpForever(t: TestContext): Promise<SetUp> {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  assert(typeof address === 'object' && address !== null);
  const { port } = address;
  // Each holds a connection for as long as it lives.
  const linger = `"${process.execPath}" --eval "require('net').connect(${port}, '127.0.0.1')"`;
  const tool = ['sh', ['-c', `${linger} & ${linger}; true`]];
  const code = `import { enter } from ${JSON.stringify(join(BOOTSTRAP, 'enter.mjs'))};
    import { runTool, stage } from ${JSON.stringify(join(BOOTSTRAP, 'stage.mjs'))};
    await enter(() => stage('working', () => runTool(...${JSON.stringify(tool)})));
    await enter(() => stage('going on', async () => {}));`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const sockets: Socket[] = [];
  while (sockets.length < 2) {
    const [socket] = await once(server, 'connection');
    socket.on('error', () => {});
    sockets.push(socket.resume());
  }
  return { child, toolsEnded: Promise.all(sockets.map((socket) => once(socket, 'close'))) };
}

describe('a set-up', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`that gets ${signal} ends its tools, then itself by that signal`, async (t) => {
      const { child, toolsEnded } = await setUpForever(t);
      const said = child.stderr?.toArray();

      child.kill(signal);

      assert.deepEqual(await once(child, 'exit'), [null, signal]);
      await toolsEnded;
      assert.equal((await said)?.join(''), `[set-up] working ... stopped\nstopped by ${signal}\n`);
    });
  }

  it('that is killed takes its tools along', async (t) => {
    const { child, toolsEnded } = await setUpForever(t);

    child.kill('SIGKILL');

    await toolsEnded;
  });
});
