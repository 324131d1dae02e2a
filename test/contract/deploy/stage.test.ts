import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, it, type TestContext } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { within } from '#test/bounded.ts';
import { endChildren, noted } from '#test/children.ts';

const BOOTSTRAP = join(PACKAGE_ROOT, 'deploy/bootstrap');

interface SetUp {
  readonly child: ChildProcess;
  /** Resolves when the tool and the process that it started have ended. */
  readonly toolsEnded: Promise<unknown>;
}

/** Starts a set-up whose tool, and a process that the tool starts, do not end by themselves. */
async function setUpForever(t: TestContext): Promise<SetUp> {
  const server = createServer().listen(0, '127.0.0.1');
  const sockets: Socket[] = [];
  t.after(() => {
    server.close();
    // The tools end when their connections do.
    for (const socket of sockets) socket.destroy();
  });
  await once(server, 'listening');
  const address = server.address();
  assert(typeof address === 'object' && address !== null);
  const { port } = address;
  // Each process holds a connection for as long as it lives.
  const linger = `"${process.execPath}" --eval "require('net').connect(${port}, '127.0.0.1')"`;
  const tool = ['sh', ['-c', `${linger} & ${linger}; true`]];
  const code = `import { enter } from ${JSON.stringify(join(BOOTSTRAP, 'enter.mjs'))};
    import { runTool, stage } from ${JSON.stringify(join(BOOTSTRAP, 'stage.mjs'))};
    await enter(() => stage('working', () => runTool(...${JSON.stringify(tool)})));
    await enter(() => stage('going on', async () => {}));`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  noted(child);
  while (sockets.length < 2) {
    const [socket] = await within(once(server, 'connection'), { what: 'the tools' });
    socket.on('error', () => {});
    sockets.push(socket.resume());
  }
  const toolsEnded = Promise.all(sockets.map((socket) => once(socket, 'close')));
  const trace = () => sockets.map(({ closed }) => (closed ? 'one has ended' : 'one goes on'));
  return { child, toolsEnded: within(toolsEnded, { what: 'the end of both tools', trace }) };
}

afterEach(endChildren);

describe('a set-up', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`that gets ${signal} ends its tools, then itself by that signal`, async (t) => {
      const { child, toolsEnded } = await setUpForever(t);
      const said = child.stderr?.toArray();

      child.kill(signal);

      const exit = await within(once(child, 'exit'), { what: 'the end of the set-up' });
      assert.deepEqual(exit, [null, signal]);
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
