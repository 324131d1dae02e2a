import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { Lines, LOADING_MS } from '#test/lines.ts';
import { writeConfig } from './mesh.ts';

interface Started {
  /** Process that the user started: npm, npx or the script. */
  readonly starter: ChildProcess;
  readonly lines: Lines;
  readonly port: number;
}

/** Starts a mesh by a command line to which `--config FILE` is added, and waits until it is ready. */
async function start(command: string, env: NodeJS.ProcessEnv = {}): Promise<Started> {
  const { config, port } = await writeConfig({
    numEncoders: { 'vision-encoder': 0, 'speech-encoder': 0 },
  });
  const [program = '', ...args] = command.split(' ');
  const starter = spawn(program, [...args, '--config', config], {
    cwd: PACKAGE_ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  assert(starter.stdout !== null);
  const lines = new Lines(starter.stdout, LOADING_MS);
  await lines.match(/Ready\. Try: curl/);
  return { starter, lines, port };
}

/**
 * Begins a completion that takes seconds; resolves to a function that reads the rest of its stream.
 */
async function openStream(port: number): Promise<() => Promise<string>> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'Hello', max_tokens: 700, ignore_eos: true, stream: true }),
  });
  assert(response.body !== null);
  const chunks = response.body.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
  await chunks.next();
  return async () => {
    let rest = '';
    for (let one = await chunks.next(); !one.done; one = await chunks.next()) rest += one.value;
    return rest;
  };
}

/** Returns the ids of a process and of all its descendants, parents first. */
function processTree(pid = 0): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  const below = children === '' ? [] : children.split(' ').map(Number);
  return [pid, ...below.flatMap((child) => processTree(child))];
}

async function assertFree(port: number): Promise<void> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  server.close();
}

const OWN_PIDS = 'unshare --pid --fork --mount-proc';

/** Returns false, or the reason why this machine cannot give a process the id 1. */
function cannotContain(): string | false {
  const [program = '', ...args] = OWN_PIDS.split(' ');
  const { status } = spawnSync(program, [...args, 'true'], { stdio: 'ignore' });
  return status === 0 ? false : `${OWN_PIDS} is not possible here`;
}

describe('SIGTERM', () => {
  const commands = [
    { command: 'npm start --', to: 'npm start' },
    { command: 'npx autoglm serve', to: 'npx autoglm serve' },
  ];
  for (const { command, to } of commands) {
    it(`to ${to} lets streams finish and ends with status 0`, async () => {
      const { starter, lines, port } = await start(command);
      const rest = await openStream(port);
      const exit = once(starter, 'exit');

      starter.kill('SIGTERM');

      assert.match(await rest(), /data: \[DONE\]\n\n$/);
      assert.deepEqual(await exit, [0, null]);
      // Every process of the mesh holds the other end of this stream.
      await lines.ended;
      await assertFree(port);
    });
  }

  it('to npx as the first process of a container lets streams finish', {
    skip: cannotContain(),
  }, async () => {
    const { starter, lines, port } = await start(`${OWN_PIDS} npx autoglm serve`);
    const [, first] = processTree(starter.pid);
    assert(first !== undefined);
    const rest = await openStream(port);
    const exit = once(starter, 'exit');

    process.kill(first, 'SIGTERM');

    assert.match(await rest(), /data: \[DONE\]\n\n$/);
    assert.deepEqual(await exit, [0, null]);
    await lines.ended;
  });

  it('to every process at once, as systemd sends it, lets streams finish', async () => {
    const { starter, lines, port } = await start('npm start --');
    const rest = await openStream(port);
    const exit = once(starter, 'exit');

    for (const pid of processTree(starter.pid).reverse()) process.kill(pid, 'SIGTERM');

    assert.match(await rest(), /data: \[DONE\]\n\n$/);
    assert.deepEqual(await exit, [0, null]);
    await lines.ended;
    assert.doesNotMatch(lines.seen.join('\n'), /"level":(40|50|60)/);
  });
});

describe('the end of npm', () => {
  it('by SIGKILL lets streams finish and leaves no process behind', async () => {
    const { starter, lines, port } = await start('npm start --');
    const rest = await openStream(port);

    starter.kill('SIGKILL');

    assert.match(await rest(), /data: \[DONE\]\n\n$/);
    await lines.ended;
    await assertFree(port);
  });

  it('behind a shell that stays in between lets streams finish', async () => {
    const { starter, lines, port } = await start('npx autoglm serve', {
      npm_config_script_shell: 'sh',
    });
    const rest = await openStream(port);

    starter.kill('SIGTERM');

    assert.match(await rest(), /data: \[DONE\]\n\n$/);
    await lines.ended;
    await assertFree(port);
  });
});
