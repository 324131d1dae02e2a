import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { Lines, LOADING_MS } from '#test/lines.ts';
import { type CommandResult, writeConfig } from './mesh.ts';

const run = promisify(execFile);

/** Files and folders that a start reads. */
const PARTS = [
  ...['.npmrc', 'package.json', 'package-lock.json', 'tsconfig.json'],
  ...['deploy', 'gateway', 'native', 'protos', 'services', 'build', 'node_modules'],
];

const WRITTEN_BY_NPM = ['package.json', 'package-lock.json', 'node_modules/.package-lock.json'];

/**
 * Arguments of `unshare`: a mount namespace, in which the tree becomes read-only, and a network
 * namespace with loopback alone.
 */
const ISOLATE = ['--mount', '--net', 'sh', '-ec'];
const ISOLATED =
  'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; ip link set lo up; cd "$1"; shift; exec "$@"';

/** Returns false, or the reason why this machine cannot isolate. */
function cannotIsolate(): string | false {
  const { status } = spawnSync('unshare', ['--mount', '--net', 'ip', 'link', 'set', 'lo', 'up']);
  return status === 0 ? false : 'unshare --mount --net is not possible here';
}

describe('a built tree without its development packages, at a path with a space', () => {
  let tree: string;
  before(async () => {
    tree = await mkdtemp(join(tmpdir(), 'autoglm built '));
    const [here, there] = await Promise.all([stat(PACKAGE_ROOT), stat(tree)]);
    // Links are enough, but not to files that npm writes in place.
    const how = here.dev === there.dev ? '--link' : '--reflink=auto';
    await run('cp', ['--archive', how, ...PARTS, tree], { cwd: PACKAGE_ROOT });
    const copy = ['--archive', '--parents', '--remove-destination', ...WRITTEN_BY_NPM, tree];
    await run('cp', copy, { cwd: PACKAGE_ROOT });
    await run('npm', ['prune', '--omit=dev', '--ignore-scripts', '--offline'], { cwd: tree });
  });
  after(() => rm(tree, { recursive: true, force: true }));

  /** Starts the mesh and waits until it is ready; nothing may be set up on the way. */
  async function assertStarts(command: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
    const { config } = await writeConfig();
    const [program = '', ...args] = [...command, '--config', config];
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    const [lines, errors] = [
      new Lines(child.stdout, LOADING_MS),
      new Lines(child.stderr, LOADING_MS),
    ];
    const exit = once(child, 'exit');
    await lines.match(/Ready\. Try: curl/);

    child.kill('SIGTERM');

    assert.deepEqual(await exit, [0, null]);
    await errors.ended;
    assert.deepEqual(errors.seen, []);
  }

  it('starts in production on a machine with neither compilers nor npm', async () => {
    assert(!existsSync(join(tree, 'node_modules', 'typescript')));

    await assertStarts([process.execPath, join(tree, 'deploy/bootstrap.mjs'), 'start'], {
      NODE_ENV: 'production',
      PATH: join(tree, 'no-programs'),
    });
  });

  it('has programs that hold the packages of many files, which would take a second to load', async () => {
    const paths = JSON.parse(await readFile(join(tree, 'build/chunks/written.json'), 'utf8'));
    const programs = paths.filter((path: string) => path.endsWith('.js'));
    const codes = programs.map((path: string) => readFile(join(tree, path), 'utf8'));
    const imported = (await Promise.all(codes)).flatMap((code: string) =>
      [...code.matchAll(/^import .*?"([^"]+)";$/gm)].map(([, name]) => name),
    );

    assert(imported.includes('@grpc/grpc-js') && imported.includes('pino'));
    for (const name of ['typebox', 'typebox/value', 'fastify', 'undici', 'yaml', 'nice-grpc']) {
      assert(!imported.includes(name), name);
    }
  });

  describe('read-only and without a network', { skip: cannotIsolate() }, () => {
    const isolated = (...command: readonly string[]) => [
      ...['unshare', ...ISOLATE, ISOLATED, 'sh', tree],
      ...command,
    ];

    /** Runs a command to its end. */
    function outcomeOf([program = '', ...args]: readonly string[]): CommandResult {
      const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
      return { status: status ?? -1, stdout, stderr };
    }

    it('starts', async () => {
      await assertStarts(isolated('npm', 'start', '--silent', '--'), {});
    });

    it('runs the command line, by npx once that has linked it', async (t) => {
      const cache = await mkdtemp(join(tmpdir(), 'autoglm-npm-cache-'));
      t.after(() => rm(cache, { recursive: true }));
      const npx = ['npx', `--cache=${cache}`, 'autoglm', '--version'];
      await run('npx', npx.slice(1), { cwd: tree });

      const result = outcomeOf(isolated(...npx));

      assert.deepEqual(result, { status: 0, stdout: '0.1.0\n', stderr: '' });
    });

    it('sees that one compiled file is missing, of a program or of what programs share', async () => {
      for (const path of ['services/llm-backbone/main.js', `chunks/${await someChunk()}`]) {
        await assertSeesMissing(join(tree, 'build', path));
      }
    });

    async function someChunk(): Promise<string> {
      const chunk = (await readdir(join(tree, 'build/chunks'))).find((name) =>
        name.endsWith('.js'),
      );
      assert(chunk !== undefined);
      return chunk;
    }

    async function assertSeesMissing(file: string): Promise<void> {
      const code = await readFile(file);
      await rm(file);

      const result = outcomeOf(isolated(process.execPath, 'deploy/bootstrap.mjs', 'start'));

      await writeFile(file, code);
      assert.equal(result.status, 1);
      assert.match(
        result.stderr,
        /^missing or changed: the compiled TypeScript, .*cannot be written/,
      );
    }

    it('says what is missing and which command makes it', async () => {
      await rm(join(tree, 'node_modules', 'yaml'), { recursive: true });
      await rm(join(tree, 'build', 'native', 'autoglm.node'));

      const result = outcomeOf(isolated(process.execPath, 'deploy/bootstrap.mjs', 'start'));

      assert.equal(result.status, 1);
      assert.equal(
        result.stderr,
        `missing or changed: the native addon, npm packages (node_modules/yaml); ${tree} cannot be written; run "npm run build" where it can be\n`,
      );
    });
  });
});
