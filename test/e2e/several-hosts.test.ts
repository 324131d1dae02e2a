import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { within } from '#test/bounded.ts';
import { skipWithoutEtcd, startEtcd } from '#test/contract/mesh/etcd/real-etcd.ts';
import { type Body, postChat } from '#test/e2e/request/chat-request.ts';
import { GOLDEN_CASES } from '#test/e2e/request/golden.ts';
import { chatRequest } from '#test/e2e/request/phone-cases.ts';
import { freePort } from '#test/free-port.ts';
import { Lines, LOADING_MS } from '#test/lines.ts';
import { readmeBlocks } from '#test/readme.ts';
import { AUTOGLM, property } from './mesh.ts';

/** The blocks of the README whose commands start one process each. */
const BLOCKS = readmeBlocks('bash').map((block) => block.split('\n'));

/** The first case of each kind of media. */
const CASES = (['image', 'audio'] as const).flatMap(
  (kind) => GOLDEN_CASES.find(({ content }) => content.some(({ type }) => type === kind)) ?? [],
);

/** Puts every process on loopback, on a free port where the README names one. */
async function onLoopback(
  commands: readonly string[],
  ports: ReadonlyMap<string, number> = new Map(),
): Promise<string[]> {
  const text = commands.join('\n').replaceAll(/\w+\.example/g, '127.0.0.1');
  const own = new Map(ports);
  for (const [port] of text.matchAll(/(?<=:|--port )\d{4}/g)) {
    if (!own.has(port)) own.set(port, await freePort());
  }
  return text.replaceAll(/(?<=:|--port )\d{4}/g, (port) => String(own.get(port))).split('\n');
}

/** Processes that were started by the commands of a block. */
class Hosts {
  readonly url: string;
  readonly gateway: Lines;
  readonly #children: readonly ChildProcess[];

  constructor(commands: readonly string[]) {
    const env: NodeJS.ProcessEnv = { ...process.env, AUTOGLM_HOST: '127.0.0.1' };
    const started = commands.flatMap((command) => {
      const [, name, value] = /^export (\w+)=(.*)$/.exec(command) ?? [];
      if (name === undefined) return [this.#start(command, env)];
      env[name] = value;
      return [];
    });
    const gateway = started.at(-1);
    assert(gateway !== undefined);
    this.url = `http://127.0.0.1:${/--port (\d+)/.exec(commands.join(' '))?.[1]}`;
    this.gateway = gateway.lines;
    this.#children = started.map(({ child }) => child);
  }

  #start(command: string, env: NodeJS.ProcessEnv) {
    const [npx, autoglm, ...args] = command.split(' ');
    assert.deepEqual([npx, autoglm], ['npx', 'autoglm']);
    const child = spawn(process.execPath, [AUTOGLM, ...args], {
      cwd: PACKAGE_ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...env },
    });
    return { child, lines: new Lines(child.stdout, LOADING_MS) };
  }

  async assertAnswers(): Promise<void> {
    await this.gateway.match(/backbone .* is ready/);
    for (const one of CASES) {
      const asked = this.#askUntilReady(chatRequest(one));
      const { status, body } = await within(asked, { what: 'an encoder', boundMs: LOADING_MS });

      assert.equal(status, 200, JSON.stringify(body));
      assert.equal(property(body, 'choices', 0, 'message', 'content'), one.reference);
    }
  }

  /** Asks again while the processes have not found each other, as the client libraries do. */
  async #askUntilReady(request: Body): ReturnType<typeof postChat> {
    for (;;) {
      const answer = await postChat(this.url, request);
      if (answer.status !== 503) return answer;
      await setTimeout(100);
    }
  }

  /** Ends one process after the other, the last one started first. */
  async assertEnd(): Promise<void> {
    for (const child of this.#children.toReversed()) {
      const exit = once(child, 'exit');
      child.kill('SIGTERM');

      assert.deepEqual(await exit, [0, null]);
    }
  }

  kill(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }
}

describe('the processes of a mesh, each started by itself as the README says', () => {
  const [withAddresses = [], withRegistry = []] = BLOCKS;
  const running: Hosts[] = [];
  after(() => {
    for (const hosts of running) hosts.kill();
  });

  async function assertServes(commands: readonly string[]): Promise<void> {
    assert.equal(CASES.length, 2);
    const hosts = new Hosts(commands);
    running.push(hosts);
    await hosts.assertAnswers();
    await hosts.assertEnd();
  }

  it('answer, and end with status 0, with the addresses of each other', async () => {
    await assertServes(await onLoopback(withAddresses));
  });

  it('do so with the address of a registry alone', { skip: skipWithoutEtcd }, async (t) => {
    const [etcd] = await startEtcd(t);
    const port = Number(etcd?.address.split(':')[1]);

    await assertServes(await onLoopback(withRegistry, new Map([['2379', port]])));
  });
});
