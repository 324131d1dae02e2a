import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { waitUntilReady } from '#deploy/local/readiness.ts';
import { within } from '#test/bounded.ts';
import { AUTOGLM, autoglm, property, startMesh, writeConfig } from '#test/e2e/mesh.ts';
import { postChat, userMessage } from '#test/e2e/request/chat-request.ts';
import { GOLDEN_TEXTS } from '#test/e2e/request/golden.ts';
import { Lines, LOADING_MS } from '#test/lines.ts';
import { whileAnotherStreams } from './bystander.ts';

const QUESTION = { messages: userMessage('你是谁?') };
const folder = mkdtempSync(join(tmpdir(), 'autoglm-log-'));
const filePath = (name: string) => join(folder, name);

interface UnreadMesh {
  readonly url: string;
  readonly supervisor: ChildProcess;
  readonly stdout: NodeJS.ReadableStream & { destroy(): void };
  readonly exit: Promise<unknown>;
}

/** Starts a mesh whose standard output is a pipe that nobody reads. */
async function startUnread(log: string): Promise<UnreadMesh> {
  const { config, port } = await writeConfig({ keys: [`log: ${log}`] });
  const supervisor = spawn(process.execPath, [AUTOGLM, 'serve', '--config', config], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(supervisor, 'exit').then(() => supervisor.exitCode);
  const url = `http://127.0.0.1:${port}`;
  await waitUntilReady(url, { numBackbones: 1, signal: AbortSignal.timeout(60_000) });
  assert(supervisor.stdout !== null);
  return { url, supervisor, stdout: supervisor.stdout, exit };
}

/** Reads the number of dropped log lines from the gateway's metrics. */
async function numDropped(url: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const [, value] =
    /^autoglm:log_lines_dropped_total\{destination="stdout"\} (\d+)/m.exec(metrics) ?? [];
  return Number(value);
}

/** Makes the gateway log until its queue is full. */
async function floodLog(url: string): Promise<void> {
  const headers = { 'x-request-id': 'x'.repeat(128) };
  const ask = async () => {
    for (let i = 0; i < 50; i++) await (await fetch(`${url}/ping`, { headers })).text();
  };
  while ((await numDropped(url)) === 0) {
    await Promise.all(Array.from({ length: 20 }, ask));
  }
}

after(() => rmSync(folder, { recursive: true }));

describe('a mesh whose log cannot be written', () => {
  for (const format of ['json', 'pretty']) {
    it(`serves on while nobody reads its ${format} output, and says what was lost`, async () => {
      const mesh = await startUnread(`{level: debug, format: ${format}}`);

      await whileAnotherStreams(mesh.url, () => floodLog(mesh.url));

      assert.equal((await fetch(`${mesh.url}/health`)).status, 200);
      const lines = new Lines(mesh.stdout, LOADING_MS);
      await lines.match(/standard output is written again; \d+ lines were dropped/);
      mesh.supervisor.kill('SIGTERM');
      assert.equal(await mesh.exit, 0);
      await lines.match(/Stopped/);
    });
  }

  it('ends on SIGTERM while nobody reads its output', async () => {
    const mesh = await startUnread('{level: debug}');
    await floodLog(mesh.url);

    mesh.supervisor.kill('SIGTERM');

    assert.equal(await mesh.exit, 0);
    mesh.stdout.destroy();
  });

  it('serves on when its reader is gone, and says so in the file', async () => {
    const path = filePath('mesh.log');
    const mesh = await startUnread(`{level: debug, path: ${path}}`);

    mesh.stdout.destroy();
    const { body } = await postChat(mesh.url, QUESTION);

    assert.equal(property(body, 'choices', 0, 'message', 'content'), GOLDEN_TEXTS[0]?.answer);
    mesh.supervisor.kill('SIGTERM');
    assert.equal(await mesh.exit, 0);
    assert.match(readFileSync(path, 'utf8'), /standard output cannot be written \(EPIPE/);
  });

  it('serves on while the disk of its file is full, and says so on standard output', async () => {
    const mesh = await startMesh({ keys: ['log: {level: debug, path: /dev/full}'] });
    await mesh.lines.match(/log-path \/dev\/full cannot be written \(ENOSPC/);

    const { body } = await whileAnotherStreams(mesh.url, () => postChat(mesh.url, QUESTION));

    assert.equal(property(body, 'choices', 0, 'message', 'content'), GOLDEN_TEXTS[0]?.answer);
    assert.equal(await mesh.stop(), 0);
  });
});

describe('a log-path that cannot be opened', () => {
  writeFileSync(filePath('plain'), '');
  execFileSync('mkfifo', [filePath('pipe')]);
  const cases = {
    'a folder': folder,
    'a path below a file': filePath('plain/mesh.log'),
    'a pipe nobody reads': filePath('pipe'),
  };
  for (const [what, path] of Object.entries(cases)) {
    it(`is refused before anything starts: ${what}`, async () => {
      const { config } = await writeConfig({ keys: [`log: {path: ${path}}`] });

      const { status, stdout, stderr } = await autoglm(['serve', '--config', config]);

      assert.equal(status, 1);
      assert.match(stderr, /^autoglm: key "log-path": .*name a file that can be appended to\n$/);
      assert.equal(stdout, '');
    });
  }
});

describe('a command whose output nobody reads', () => {
  for (const args of [['--help'], ['status'], ['call', '--help'], ['serve', '--help']]) {
    it(`ends quietly: autoglm ${args.join(' ')}`, async () => {
      const child = spawn(process.execPath, [AUTOGLM, ...args], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const exited = once(child, 'exit');
      child.stdout.destroy();

      assert.equal(await text(child.stderr), '');
      await exited;
      assert.equal(child.exitCode, 141);
    });
  }
});

describe('a mesh whose processes have log files of their own', () => {
  it('goes on in new ones when they were renamed and its supervisor gets SIGUSR2', async () => {
    const mesh = await startMesh({
      keys: [`log: {path: ${filePath('own/mesh.log')}, isolation: true}`],
    });
    const ownFile = (name: string) => filePath(`own/${name}.log`);
    const names = ['supervisor', 'gateway', 'llm-backbone', 'vision-encoder', 'speech-encoder'];
    const before = names.map((name) => readFileSync(ownFile(name), 'utf8'));
    for (const name of names) renameSync(ownFile(name), `${ownFile(name)}.1`);

    mesh.supervisor.kill('SIGUSR2');

    const reopened = async () => {
      while (!names.every((name) => existsSync(ownFile(name)))) await delay(20);
    };
    await within(reopened(), {
      what: 'new log files',
      trace: () => names.filter((name) => existsSync(ownFile(name))),
    });
    await postChat(mesh.url, { ...QUESTION, max_tokens: 1 });
    await mesh.stop();
    assert.match(
      readFileSync(ownFile('gateway'), 'utf8'),
      /"msg":"POST \/v1\/chat\/completions 200"/,
    );
    for (const [at, name] of names.entries()) {
      assert.match(before[at] ?? '', new RegExp(`"process":"${name}"`));
      assert(readFileSync(`${ownFile(name)}.1`, 'utf8').startsWith(before[at] ?? ''), name);
    }
  });
});
