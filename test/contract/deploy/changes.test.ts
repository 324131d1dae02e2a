import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { callSupervisor } from '#deploy/local/control/control-client.ts';
import type { ControlRequest } from '#deploy/local/control/control-protocol.ts';
import { runningMeshes } from '#deploy/local/mesh-state.ts';
import { within } from '#test/bounded.ts';
import { endChildren, noted } from '#test/children.ts';
import { Lines } from '#test/lines.ts';
import { programArgs } from '#test/program.ts';
import { refusal } from '#test/refusal.ts';

const RUNNER = programArgs('test/contract/deploy/run-supervisor');
/** Longest wait for a command, ms: several processes start one after the other. */
const COMMAND_MS = 120_000;

describe('the commands to a running mesh', { timeout: 300_000 }, () => {
  let home = '';
  let child: ChildProcess;
  let lines: Lines;
  let path = '';
  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'autoglm-changes-'));
    const processes = ['llm-backbone=obey', '+llm-backbone-2=obey', '+llm-backbone-3=refuse'];
    const args = [...RUNNER, ...processes, 'gateway=obey', '+gateway-2=late'];
    child = noted(
      spawn(process.execPath, args, {
        stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
        env: { ...process.env, XDG_RUNTIME_DIR: home, HOME: home },
      }),
    );
    assert(child.stdout !== null);
    lines = new Lines(child.stdout);
    await lines.match(/Ready\. Try: curl/);
    path = (await meshState()).control;
  });
  after(async () => {
    child.kill('SIGTERM');
    await lines.ended;
    endChildren();
    await rm(home, { recursive: true, force: true });
  });

  async function meshState() {
    const [mesh, ...others] = await runningMeshes({ XDG_RUNTIME_DIR: home, HOME: home });
    assert(mesh !== undefined);
    assert.deepEqual(others, []);
    return mesh;
  }

  function call(request: ControlRequest, onProgress = (_text: string) => {}) {
    const called = callSupervisor(request, { path, onProgress });
    return within(called, { what: 'the end of a command', boundMs: COMMAND_MS });
  }

  const scale = (
    replicas: Readonly<Record<string, unknown>>,
    onProgress?: (text: string) => void,
  ) => call({ command: 'scale', replicas }, onProgress);

  /** Returns `name state` of every process. */
  async function running(): Promise<string[]> {
    const processes = await call({ command: 'status' });
    return processes.map(({ name, state }) => `${name} ${state}`);
  }

  it('come through a socket that its owner alone can open', async () => {
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  it('add a process and tell when it has started', async () => {
    const progress: string[] = [];

    const processes = await scale({ 'llm-backbone': '2' }, (line) => progress.push(line));

    assert.deepEqual(
      processes.map(({ name, state }) => `${name} ${state}`),
      ['llm-backbone running', 'llm-backbone-2 running', 'gateway running'],
    );
    assert.match(progress.join(), /^llm-backbone-2 starts at .*,llm-backbone-2 has started$/);
    const found = (await meshState()).processes.map(({ name }) => name);
    assert.deepEqual(found, ['llm-backbone', 'llm-backbone-2', 'gateway']);
  });

  it('tell where each process has said that it shows its metrics', async () => {
    const processes = await call({ command: 'status' });

    for (const { metrics, pid } of processes) assert.equal(metrics, `127.0.0.1:${pid}`);
  });

  it('restart the processes of a role one after the other', async () => {
    const first = lines.seen.length;

    const processes = await call({ command: 'restart', name: 'llm-backbone' });

    await lines.match(/^llm-backbone-2 started/, first);
    // A process says that it listens before it tells the supervisor, who goes on only then.
    const order = lines.seen
      .slice(first)
      .flatMap(
        (line) => /^(llm-backbone\S*) (drains|listens)/.exec(line)?.slice(1).join(' ') ?? [],
      );
    assert.deepEqual(order, [
      'llm-backbone drains',
      'llm-backbone listens',
      'llm-backbone-2 drains',
      'llm-backbone-2 listens',
    ]);
    assert.deepEqual(
      processes.map(({ numRestarts }) => numRestarts),
      [1, 1, 0],
    );
  });

  it('restart one process by its name, the first of a role by its number', async () => {
    const processes = await call({ command: 'restart', name: 'llm-backbone-1' });

    assert.deepEqual(
      processes.map(({ numRestarts }) => numRestarts),
      [2, 1, 0],
    );
  });

  it('take away nothing and leave nothing behind when a process refuses to start', async () => {
    const message = /llm-backbone-3 exited with status 3 .* see the mesh's log/;
    await assert.rejects(scale({ 'llm-backbone': 3 }), refusal('INVALID_REQUEST', message));

    assert.deepEqual(await running(), [
      'llm-backbone running',
      'llm-backbone-2 running',
      'gateway running',
    ]);
  });

  it('are refused, one at a time, while another changes the mesh', async () => {
    const restart = call({ command: 'restart', name: 'llm-backbone-2' });

    const refused = refusal('INVALID_REQUEST', /another change is under way/);
    await assert.rejects(scale({ 'llm-backbone': 1 }), refused);

    await restart;
  });

  const refusals: readonly (readonly [string, ControlRequest, RegExp])[] = [
    ['a role', { command: 'scale', replicas: { 'llm-backbon': 1 } }, /did you mean "llm-backbone"/],
    ['no number', { command: 'scale', replicas: { gateway: 'many' } }, /^gateway: .*integer/],
    [
      'none of a gateway',
      { command: 'scale', replicas: { gateway: 0 } },
      /^gateway: .*>= 1, got 0/,
    ],
    ['nothing', { command: 'scale', replicas: {} }, /say which processes/],
    ['a process', { command: 'restart', name: 'llm-backbone-9' }, /no process "llm-backbone-9"/],
  ];
  for (const [what, request, message] of refusals) {
    it(`are refused if they name ${what} that cannot be`, async () => {
      const before = await running();

      await assert.rejects(call(request), refusal('INVALID_REQUEST', message));

      assert.deepEqual(await running(), before);
    });
  }

  it('are refused if they are no command', async () => {
    for (const line of ['{"command":"dance"}', 'dance', '[]']) {
      const socket = connect({ path });
      socket.write(`${line}\n`);

      assert.match(
        await text(socket),
        /^\{"kind":"refused","message":"(no such command|a request)/,
      );
    }
  });

  it('take a process away, which drains first', async () => {
    const first = lines.seen.length;

    const processes = await scale({ 'llm-backbone': 1 });

    assert.deepEqual(
      processes.map(({ name }) => name),
      ['llm-backbone', 'gateway'],
    );
    await lines.match(/^llm-backbone-2 drains/, first);
    const found = (await meshState()).processes.map(({ name }) => name);
    assert.deepEqual(found, ['llm-backbone', 'gateway']);
  });

  it('tell how far the start of a process has come', async () => {
    const late = async () => {
      const processes = await call({ command: 'status' });
      return processes.find(({ name }) => name === 'gateway-2');
    };
    const scaled = scale({ gateway: 2 });

    let seen = await late();
    while (seen?.progress !== 'loading 43 %' && seen?.state !== 'running') seen = await late();
    await scaled;

    assert.deepEqual([seen.state, seen.progress], ['starting', 'loading 43 %']);
    assert.equal((await late())?.progress, '');
  });
});
