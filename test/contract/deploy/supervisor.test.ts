import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { within } from '#test/bounded.ts';
import { endChildren, noted } from '#test/children.ts';
import { Lines } from '#test/lines.ts';
import { programArgs } from '#test/program.ts';

const RUNNER = programArgs('test/contract/deploy/run-supervisor');

interface Running {
  readonly child: ChildProcess;
  readonly lines: Lines;
}

function supervise(...processes: readonly string[]): Running {
  const child = noted(
    spawn(process.execPath, [...RUNNER, ...processes], {
      // The input closes when this test ends, even if it fails.
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    }),
  );
  assert(child.stdout !== null);
  return { child, lines: new Lines(child.stdout) };
}

/** Reads the process id in a line such as `gateway started 123`. */
function pidIn(line: string): number {
  return Number(line.split(' ').at(-1));
}

async function ready(...processes: readonly string[]): Promise<Running> {
  const running = supervise(...processes);
  for (const name of processes.map((one) => one.split('=')[0])) {
    await running.lines.match(new RegExp(`^${name} started`));
  }
  await running.lines.match(/Ready\. Try: curl/);
  return running;
}

/** Returns the names of the processes that drained, in order. */
function drained({ lines }: Running): string[] {
  const order = lines.seen.filter((line) => / drains \d+$/.test(line));
  return order.map((line) => line.split(' ')[0] ?? '');
}

async function exitOf({ child, lines }: Running): Promise<number | null> {
  // Its processes hold its output too, so the output ends when they are gone.
  await lines.ended;
  if (child.exitCode === null && child.signalCode === null) {
    await within(once(child, 'exit'), { what: 'its exit', trace: () => lines.seen });
  }
  return child.exitCode;
}

afterEach(endChildren);

describe('Supervisor', () => {
  it('says that it starts before anything else', async () => {
    const running = await ready('backbone=obey', 'gateway=obey');

    assert.match(running.lines.seen[0] ?? '', /Starting AutoGLM-Phone server\.\.\./);
    running.child.kill('SIGTERM');
    assert.equal(await exitOf(running), 0);
  });

  it('keeps a key in its own environment from processes that do not have it', async (test) => {
    process.env['AUTOGLM_API_KEY'] = 'secret';
    test.after(() => delete process.env['AUTOGLM_API_KEY']);
    const running = await ready('backbone=obey', 'gateway=obey');

    const started = running.lines.seen.filter((line) => line.includes(' started ')).map(pidIn);
    const environments = started.map((pid) => readFileSync(`/proc/${pid}/environ`, 'utf8'));

    assert.equal(environments.length, 2);
    for (const one of environments) {
      assert.match(one, /AUTOGLM_SUPERVISED=/);
      assert.doesNotMatch(one, /secret/);
    }
    running.child.kill('SIGTERM');
    assert.equal(await exitOf(running), 0);
  });

  it('stops the gateway first, then what stands behind it', async () => {
    const running = await ready('backbone=obey', 'gateway=obey');

    running.child.kill('SIGTERM');

    assert.equal(await exitOf(running), 0);
    assert.deepEqual(drained(running), ['gateway', 'backbone']);
  });

  it('keeps that order when every process is signalled at once, the last first', async () => {
    const running = await ready('backbone=obey', 'gateway=obey');
    const pids = running.lines.seen.filter((line) => line.includes(' started ')).map(pidIn);

    for (const pid of pids) process.kill(pid, 'SIGTERM');
    running.child.kill('SIGTERM');

    assert.equal(await exitOf(running), 0);
    assert.deepEqual(drained(running), ['gateway', 'backbone']);
  });

  it('lets a process drain that was signalled alone, and starts it again', async () => {
    const running = await ready('backbone=obey', 'gateway=obey');
    const started = await running.lines.match(/^backbone started/);
    const before = running.lines.seen.length;

    process.kill(pidIn(started), 'SIGTERM');

    await running.lines.match(/^backbone drains/, before);
    const ended = await running.lines.match(/backbone exited with status 0 after/, before);
    assert.match(ended, /"level":30,.*; starting it again in [^(]*"/);
    await running.lines.match(/^backbone started/, before);
    running.child.kill('SIGTERM');
    assert.equal(await exitOf(running), 0);
  });

  it('leaves no process behind when it is killed', async () => {
    const running = await ready('backbone=obey', 'gateway=stubborn');

    running.child.kill('SIGKILL');

    // The processes hold the other end of this stream.
    await running.lines.ended;
  });

  it('leaves no process behind when it is killed while they start', async () => {
    const running = supervise('backbone=obey', 'gateway=obey');
    await running.lines.match(/Starting/);

    running.child.kill('SIGKILL');

    await running.lines.ended;
  });

  it('starts a process again that was killed, and says why it ended and how often it did', async () => {
    const running = await ready('backbone=obey', 'gateway=obey');
    const before = running.lines.seen.length;
    const started = await running.lines.match(/^backbone started/);

    process.kill(pidIn(started), 'SIGKILL');

    const again = await running.lines.match(/^backbone started/, before);
    assert.notEqual(again, started);
    await running.lines.match(/^backbone restarted 1 times/, before);
    await running.lines.match(/backbone was killed by SIGKILL after .* starting it again in 0\.2/);
    running.child.kill('SIGTERM');
    assert.equal(await exitOf(running), 0);
  });

  it('waits longer after each failure in a row', async () => {
    const running = await ready('backbone=obey', 'gateway=obey');
    for (const failure of [1, 2]) {
      const started = running.lines.seen.filter((line) => line.startsWith('backbone started'));
      const before = running.lines.seen.length;
      process.kill(pidIn(started.at(-1) ?? ''), 'SIGKILL');
      await running.lines.match(/^backbone started/, before);
      await running.lines.match(new RegExp(`failure ${failure} in a row`));
    }

    await running.lines.match(/again in 0\.[45]/);
    running.child.kill('SIGTERM');
    await exitOf(running);
  });

  it('kills a process that ignores SIGTERM after the limit', async () => {
    const running = await ready('backbone=stubborn', 'gateway=obey');

    running.child.kill('SIGTERM');

    assert.equal(await exitOf(running), 0);
    await running.lines.match(/backbone did not end in time; killing it/);
  });

  it('starts a process again that was killed before another had started', async () => {
    const running = supervise('backbone=obey', 'gateway=late');
    const started = await running.lines.match(/^backbone started/);
    const before = running.lines.seen.length;

    process.kill(pidIn(started), 'SIGKILL');

    await running.lines.match(/^backbone started/, before);
    await running.lines.match(/Ready\. Try: curl/);
    running.child.kill('SIGTERM');
    assert.equal(await exitOf(running), 0);
  });

  it('kills a process that is stopped, and starts it again', async () => {
    const running = await ready('backbone=obey', 'gateway=obey');
    const started = await running.lines.match(/^gateway started/);
    const before = running.lines.seen.length;

    process.kill(pidIn(started), 'SIGSTOP');

    await running.lines.match(/gateway does not answer .*killing it/, before);
    await running.lines.match(/gateway was killed by SIGKILL/, before);
    await running.lines.match(/^gateway started/, before);
    running.child.kill('SIGTERM');
    assert.equal(await exitOf(running), 0);
  });

  it('stops encoders at the same time, and everything within one limit', async () => {
    const running = await ready(
      'vision-encoder=stubborn',
      'speech-encoder=stubborn',
      'backbone=stubborn',
      'gateway=stubborn',
    );
    const beganMs = performance.now();

    running.child.kill('SIGTERM');

    assert.equal(await exitOf(running), 0);
    assert(performance.now() - beganMs < 5000, 'four processes that do not end take 3 s together');
    const killed = running.lines.seen.flatMap(
      (line) => /"msg":"(\S+) did not end/.exec(line)?.[1] ?? [],
    );
    assert.deepEqual(killed.slice(0, 2), ['gateway', 'backbone']);
    assert.deepEqual(killed.slice(2).sort(), ['speech-encoder', 'vision-encoder']);
  });

  it('ends everything when a process refuses to start', async () => {
    const running = supervise('backbone=refuse', 'gateway=unready');

    assert.equal(await exitOf(running), 1);
    await running.lines.match(/backbone exited with status 3 after .* before it had started/);
  });

  it('names the key of a port that is in use and starts nothing', async (t) => {
    const squatter = createServer().listen(0, '127.0.0.1');
    t.after(() => squatter.close());
    await once(squatter, 'listening');
    const address = squatter.address();
    assert(typeof address === 'object' && address !== null);

    const running = supervise('backbone=obey', `gateway=obey:${address.port}`);

    assert.equal(await exitOf(running), 1);
    await running.lines.match(/EADDRINUSE.*the key \\"port\\" in the section \\"gateway\\"/);
    assert.equal(running.lines.seen.filter((line) => line.includes(' started ')).length, 0);
  });

  it('keeps Ctrl-C in the terminal from reaching the processes', async () => {
    const running = await ready('backbone=obey', 'gateway=obey');

    running.child.kill('SIGINT');

    assert.equal(await exitOf(running), 0);
    assert.equal(running.lines.seen.filter((line) => line.includes(' SIGINT ')).length, 0);
  });
});
