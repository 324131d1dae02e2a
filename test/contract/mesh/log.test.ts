import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { SOURCE_FLAGS } from '#test/program.ts';

const folder = mkdtempSync(join(tmpdir(), 'log-'));

/** Runs a process that logs as `code` says; it reports to the test on standard error. */
function run(code: string, stdout: 'pipe' | number = 'pipe'): ChildProcess {
  const program = `
    import { writeSync } from 'node:fs';
    import { createLog, destinationsOf } from '#mesh/log/log.ts';
    const open = (path, format = 'json') => createLog({ role: 'test', level: 'info', format, path });
    ${code}`;
  const flags = [...SOURCE_FLAGS, '--input-type=module', '--eval', program];
  return spawn(process.execPath, flags, { cwd: PACKAGE_ROOT, stdio: ['ignore', stdout, 'pipe'] });
}

/**
 * Code that logs more than the queue and any pipe take, and reports the number of dropped lines.
 */
const FLOOD = `
  for (let i = 0; i < 10_000; i++) log.info('x'.repeat(200));
  setTimeout(() => writeSync(2, String(destinationsOf(log)[0].numDropped)), 1);`;

async function assertEndsAfterDrops(child: ChildProcess): Promise<void> {
  const { status, stderr } = await endOf(child);

  assert.equal(status, 0);
  assert(Number(stderr) > 1000, `${stderr} lines were dropped`);
}

interface End {
  readonly status: number | null;
  readonly stderr: string;
}

async function endOf(child: ChildProcess): Promise<End> {
  assert(child.stderr !== null);
  const [stderr] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  return { status: child.exitCode, stderr };
}

/** Returns `msg` of every line; throws if a line is not whole JSON. */
function messages(lines: string): string[] {
  return lines
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).msg);
}

function filePath(name: string): string {
  return join(folder, name);
}

describe('the log of a process', () => {
  after(() => rmSync(folder, { recursive: true }));

  for (const format of ['json', 'pretty']) {
    it(`goes on and ends while nobody reads the socket of its ${format} lines`, async () => {
      // A child that inherits the socket makes it blocking.
      const child = run(`
        import { spawnSync } from 'node:child_process';
        const log = open(undefined, '${format}');
        spawnSync('true', { stdio: 'inherit' });
        ${FLOOD}`);

      await assertEndsAfterDrops(child);
    });

    it(`goes on and ends while nobody reads the pipe of its ${format} lines`, async () => {
      const path = filePath(`${format}.pipe`);
      execFileSync('mkfifo', [path]);
      const pipe = openSync(path, 'r+');

      const child = run(`const log = open(undefined, '${format}'); ${FLOOD}`, pipe);

      await assertEndsAfterDrops(child);
      closeSync(pipe);
    });
  }

  it('goes on when its reader is gone, and says so in the file once', async () => {
    const path = filePath('gone.log');
    const child = run(`
      const log = open('${path}');
      setTimeout(() => {}, 1_000_000);
      process.once('SIGTERM', () => {
        for (let i = 0; i < 10; i++) log.info('more');
        process.exit(3);
      });
      log.info('one');`);
    assert(child.stdout !== null);
    await once(child.stdout, 'data');

    child.stdout.destroy();
    await once(child.stdout, 'close');
    child.kill('SIGTERM');

    assert.deepEqual(await endOf(child), { status: 3, stderr: '' });
    const lines = messages(readFileSync(path, 'utf8'));
    const told = lines.filter((line) => /standard output cannot be written \(EPIPE/.test(line));
    assert.equal(told.length, 1);
    assert.equal(lines.filter((line) => line === 'more').length, 10);
  });

  it('says on standard output, once, that its file is on a full disk', async () => {
    const child = run(`
      const log = open('/dev/full');
      for (let i = 0; i < 10; i++) log.info('line');
      writeSync(2, String(destinationsOf(log)[1].numErrors));`);
    assert(child.stdout !== null);

    const [lines, { status, stderr }] = await Promise.all([text(child.stdout), endOf(child)]);

    assert.equal(status, 0);
    assert.equal(stderr, '1');
    const told = messages(lines).filter((line) => /log-path \/dev\/full .*ENOSPC/.test(line));
    assert.equal(told.length, 1);
    assert.equal(messages(lines).filter((line) => line === 'line').length, 10);
  });

  it('gives a reader every line before a process that ends in an instant', async () => {
    const child = run(`
      const log = open();
      for (let i = 0; i < 3000; i++) log.info('x'.repeat(200));
      log.error('last');
      process.exit(1);`);
    assert(child.stdout !== null);

    const [lines] = await Promise.all([text(child.stdout), endOf(child)]);

    assert.equal(messages(lines).length, 3001);
    assert.equal(messages(lines).at(-1), 'last');
  });

  it('puts what nobody caught into the file as well', async () => {
    const path = filePath('uncaught.log');
    const child = run(`
      import { runMain } from '#mesh/process/lifecycle.ts';
      const log = open('${path}');
      runMain(() => log, async () => {
        setTimeout(() => { throw new Error('nobody caught me'); });
      });`);
    child.stdout?.resume();

    assert.deepEqual(await endOf(child), { status: 1, stderr: '' });
    assert.match(readFileSync(path, 'utf8'), /nobody caught me.*uncaught error/);
  });

  it('leaves the lines of processes that share a file whole', async () => {
    const path = filePath('shared.log');
    const code = `
      const log = open('${path}');
      for (let i = 0; i < 500; i++) log.info('x'.repeat(i));`;
    const children = [run(code), run(code), run(code)];
    for (const child of children) child.stdout?.resume();

    await Promise.all(children.map(endOf));

    assert.equal(messages(readFileSync(path, 'utf8')).length, 1500);
  });

  it('goes on in a new file when its own was renamed and SIGUSR2 says so', async () => {
    const path = filePath('renamed.log');
    const child = run(`
      const log = open('${path}');
      setTimeout(() => {}, 1_000_000);
      process.once('SIGUSR2', () => {
        log.info('two');
        process.exit(0);
      });
      log.info('one');`);
    assert(child.stdout !== null);
    await once(child.stdout, 'data');

    renameSync(path, `${path}.1`);
    child.kill('SIGUSR2');

    assert.deepEqual(await endOf(child), { status: 0, stderr: '' });
    assert.deepEqual(messages(readFileSync(`${path}.1`, 'utf8')), ['one']);
    assert.deepEqual(messages(readFileSync(path, 'utf8')), ['two']);
  });

  it('does not end a process without a file at SIGUSR2', async () => {
    const child = run(`
      const log = open();
      setTimeout(() => {}, 1_000_000);
      process.once('SIGTERM', () => process.exit(3));
      log.info('ready');`);
    assert(child.stdout !== null);
    await once(child.stdout, 'data');

    child.kill('SIGUSR2');
    child.kill('SIGTERM');

    assert.equal((await endOf(child)).status, 3);
  });

  it('has a file of its own beside the path if it is isolated', async () => {
    const path = filePath('isolated/mesh.log');
    const child = run(`
      const options = { role: 'gateway', process: 'gateway-2', level: 'info', format: 'json' };
      createLog({ ...options, path: '${path}', isIsolated: true }).info('mine');`);
    child.stdout?.resume();

    assert.deepEqual(await endOf(child), { status: 0, stderr: '' });
    assert.deepEqual(messages(readFileSync(filePath('isolated/gateway-2.log'), 'utf8')), ['mine']);
  });

  it('refuses the file that is standard output already', async () => {
    const path = filePath('stdout.log');
    const stdout = openSync(path, 'a');
    const child = run(
      `try { open('${path}'); } catch (error) { writeSync(2, error.message); }`,
      stdout,
    );

    const { stderr } = await endOf(child);

    closeSync(stdout);
    assert.match(stderr, /^key "log-path": .* is standard output, which gets every line/);
  });
});
