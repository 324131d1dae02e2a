import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { DockerfileParser, type Instruction, JSONInstruction } from 'dockerfile-ast';
import { validate } from 'dockerfile-utils';
import { parse } from 'yaml';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { Lines, LOADING_MS } from '#test/lines.ts';
import { property } from './mesh.ts';

const run = promisify(execFile);
const DOCKERFILE = readFileSync(join(PACKAGE_ROOT, 'deploy/docker/Dockerfile'), 'utf8');
const INSTRUCTIONS = DockerfileParser.parse(DOCKERFILE).getInstructions();

/** User id that an image's user without rights has. */
const USER_ID = '1000';

/**
 * Script that makes the tree of the first argument read-only in a namespace of its own, and becomes
 * the rest, as a user without rights and as the first process.
 */
const CONTAINED = [
  'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; ip link set lo up; cd "$1"; shift',
  `exec setpriv --reuid=${USER_ID} --regid=${USER_ID} --clear-groups --no-new-privs "$@"`,
].join('; ');
const NAMESPACES = ['--mount', '--net', '--pid', '--fork', '--mount-proc', '--kill-child'];

const CONFIGURE = ['-S', 'native', '-B', 'build/configured', '-DCMAKE_BUILD_TYPE=Release'];

/** Returns false, or the reason why this machine cannot do what a container engine does. */
function cannotContain(): string | false {
  const { status } = spawnSync('unshare', [...NAMESPACES, 'setpriv', '--reuid=1000', 'true']);
  return status === 0 ? false : 'unshare with namespaces of its own is not possible here';
}

function named(keyword: string): readonly Instruction[] {
  return INSTRUCTIONS.filter((one) => one.getInstruction() === keyword);
}

/** Returns the last instruction of a kind as the list of words that it is. */
function words(keyword: string): readonly string[] {
  const last = named(keyword).at(-1);
  assert(last instanceof JSONInstruction, `${keyword} is a list`);
  return last.getJSONStrings().map((one) => one.getJSONValue());
}

/** Returns the files that an image is built from: all that are not ignored. */
async function contextFiles(): Promise<readonly string[]> {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard'];
  const { stdout } = await run('git', args, { cwd: PACKAGE_ROOT, maxBuffer: 1 << 26 });
  const ignored = readFileSync(join(PACKAGE_ROOT, '.dockerignore'), 'utf8').split('\n');
  const folders = new Set(ignored.filter((line) => /^[.\w]+$/.test(line)));
  return stdout.split('\n').filter((path) => path !== '' && !folders.has(path.split('/')[0] ?? ''));
}

describe('the Dockerfile', () => {
  it('is well-formed, has a user without rights, a health check, and no process before Node', () => {
    assert.deepEqual(validate(DOCKERFILE), []);
    assert.notEqual(named('USER').at(-1)?.getArgumentsContent(), 'root');
    assert.equal(named('HEALTHCHECK').length, 1);
    assert.equal(words('ENTRYPOINT')[0], 'node');
    for (const { getArgumentsContent } of named('FROM').map((one) => ({
      getArgumentsContent: () => one.getArgumentsContent() ?? '',
    }))) {
      assert.match(getArgumentsContent(), /^node:\d+-/, 'a base image has a version');
    }
  });
});

describe('the compose file', () => {
  it('ends each process before those that it asks', () => {
    const text = readFileSync(join(PACKAGE_ROOT, 'deploy/docker/compose.yaml'), 'utf8');
    const services: unknown = property(parse(text, { merge: true }), 'services');
    assert(typeof services === 'object' && services !== null);
    for (const [name, service] of Object.entries(services)) {
      const command = property(service, 'command');
      assert(Array.isArray(command));
      const words: readonly unknown[] = command;
      const asked: readonly string[] = Object.keys(services).filter((other) =>
        words.some((word) => new RegExp(`(?:^|=)${other}:\\d+$`).test(String(word))),
      );
      const order = property(service, 'depends_on');
      assert.deepEqual(order ?? [], asked, `${name} asks ${asked}`);
    }
  });

  it('starts each process alone, read-only, from the one image', () => {
    const text = readFileSync(join(PACKAGE_ROOT, 'deploy/docker/compose.yaml'), 'utf8');
    const services: unknown = property(parse(text, { merge: true }), 'services');
    assert(typeof services === 'object' && services !== null);
    const names = ['gateway', 'llm-backbone', 'speech-encoder', 'vision-encoder'];
    assert.deepEqual(Object.keys(services).sort(), names);
    for (const name of names) {
      assert.equal(property(services, name, 'command', 1), name);
      assert.equal(property(services, name, 'read_only'), true);
      assert.deepEqual(property(services, name, 'cap_drop'), ['ALL']);
    }
  });
});

describe('the image', { skip: cannotContain() }, () => {
  let tree: string;
  before(async () => {
    tree = await mkdtemp(join(tmpdir(), 'autoglm-image-'));
    await chmod(tree, 0o755);
    const files = await contextFiles();
    await run('cp', ['--archive', '--parents', ...files, tree], { cwd: PACKAGE_ROOT });
    // What is compiled already stands for the compiler's minutes: the build finds it up to date, so
    // that the sources in the image are only configured, in a folder of their own.
    await cp(join(PACKAGE_ROOT, 'build'), join(tree, 'build'), { recursive: true });
    for (const one of named('RUN')) {
      const command = one.getArgumentsContent() ?? '';
      if (command.startsWith('apt-get')) continue;
      const env = { ...process.env, npm_config_prefer_offline: 'true', npm_config_audit: 'false' };
      await run('sh', ['-ec', command], { cwd: tree, env, maxBuffer: 1 << 24 });
      if (command === 'npm ci') await run('cmake', CONFIGURE, { cwd: tree });
    }
  });
  after(() => rm(tree, { recursive: true, force: true }));

  it('serves from a read-only root without rights, answers its health check, drains at SIGTERM', async () => {
    const command = [...words('ENTRYPOINT'), ...words('CMD')];
    const container = spawn(
      'unshare',
      [...NAMESPACES, 'sh', '-ec', CONTAINED, 'sh', tree, ...command],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { PATH: process.env['PATH'], NODE_ENV: 'production' },
      },
    );
    const exit = once(container, 'exit');
    const lines = new Lines(container.stdout, LOADING_MS);
    const errors = new Lines(container.stderr, LOADING_MS);
    await lines.match(/Ready\. Try: curl/);

    const health = named('HEALTHCHECK')[0]?.getArgumentsContent() ?? '';
    const [, list = '[]'] = /CMD (\[.*\])$/.exec(health) ?? [];
    const check: unknown = JSON.parse(list);
    assert(Array.isArray(check));
    const net = ['--target', String(container.pid), '--net', '--', ...check.map(String)];
    const healthy = spawnSync('nsenter', net, { cwd: tree, encoding: 'utf8' });
    const children = `/proc/${container.pid}/task/${container.pid}/children`;
    process.kill(Number(readFileSync(children, 'utf8')), 'SIGTERM');

    assert.deepEqual([healthy.status, healthy.stderr], [0, '']);
    assert.deepEqual(await exit, [0, null]);
    await errors.ended;
    assert.deepEqual(errors.seen, []);
  });

  it('fails its health check when no gateway answers', () => {
    const result = spawnSync(process.execPath, [join(tree, 'deploy/docker/healthcheck.mjs')], {
      encoding: 'utf8',
      env: { AUTOGLM_PORT: '1' },
    });

    assert.equal(result.status, 1);
    assert.match(result.stderr, /livez on port 1/);
  });
});
