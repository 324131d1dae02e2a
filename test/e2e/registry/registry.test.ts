import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { within } from '#test/bounded.ts';
import { registryAt, skipWithoutEtcd, startEtcd } from '#test/contract/mesh/etcd/real-etcd.ts';
import { AUTOGLM, autoglm, property } from '#test/e2e/mesh.ts';
import { postChat, streamAnswer, userMessage } from '#test/e2e/request/chat-request.ts';
import { GOLDEN_CASES, GOLDEN_TEXTS } from '#test/e2e/request/golden.ts';
import { LONG_ANSWER } from '#test/e2e/request/load.ts';
import { chatRequest } from '#test/e2e/request/phone-cases.ts';
import { Lines } from '#test/lines.ts';
import { RegistryMesh, type Running } from './registry-mesh.ts';

const QUESTION = { messages: userMessage('你是谁?') };
const IMAGE_CASE = GOLDEN_CASES.find(({ content }) => content.some(({ type }) => type === 'image'));

describe('a mesh whose processes know its registry alone', { skip: skipWithoutEtcd }, () => {
  const afters: (() => Promise<void>)[] = [];
  let mesh: RegistryMesh;
  let backbone: Running;
  let registry: string;

  before(async () => {
    const [etcd] = await startEtcd({ after: (end) => afters.push(end) });
    assert(etcd !== undefined);
    registry = registryAt([etcd.address]);
    mesh = await RegistryMesh.start(registry);
  });
  after(async () => {
    mesh?.kill();
    for (const end of afters) await end();
  });

  it('answers once a backbone has come, and loses nothing when it goes', async () => {
    const { url } = mesh;
    const first = await mesh.runBackbone();
    const { status, body } = await postChat(url, QUESTION);
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(property(body, 'choices', 0, 'message', 'content'), GOLDEN_TEXTS[0]?.answer);

    backbone = await mesh.runBackbone();
    let isOver = false;
    const outcomes: string[] = [];
    const client = async () => {
      while (!isOver) {
        const answer = await postChat(url, QUESTION);
        outcomes.push(answer.status === 200 ? 'answered' : JSON.stringify(answer.body));
      }
    };
    const clients = [client(), client(), client(), client()];
    const streams = [streamAnswer(url, LONG_ANSWER), streamAnswer(url, LONG_ANSWER)];
    const exit = once(first.child, 'exit');
    first.child.kill('SIGTERM');
    assert.deepEqual(await exit, [0, null]);
    isOver = true;
    await Promise.all(clients);

    assert.deepEqual(new Set(outcomes), new Set(['answered']));
    for (const { done, error } of await Promise.all(streams)) assert(done, error);
    assert.equal((await postChat(url, QUESTION)).status, 200);
  });

  it('shows every process that is registered', async () => {
    const { stdout } = await autoglm(['status', '--registry', registry, '--json']);

    const shown: unknown = JSON.parse(stdout);
    const processes = property(shown, 'processes');
    assert(Array.isArray(processes));
    const rows = processes.map((one) => [
      property(one, 'role'),
      property(one, 'address'),
      property(one, 'state'),
    ]);
    assert.deepEqual(rows, [
      ['llm-backbone', backbone?.listen, 'ready'],
      ['gateway', mesh.url, 'ready'],
    ]);
  });

  it('gives Prometheus every process that is registered', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'autoglm-targets-'));
    const path = join(folder, 'autoglm.json');
    const args = ['observe', '--registry', registry, '--metrics-port', '9465', '--targets', path];
    const observing = spawn(process.execPath, [AUTOGLM, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = once(observing, 'exit');
    t.after(async () => {
      observing.kill('SIGKILL');
      await rm(folder, { recursive: true });
    });
    await new Lines(observing.stdout).match(/^targets: /);

    const targets: unknown = JSON.parse(await readFile(path, 'utf8'));
    observing.kill('SIGINT');

    const gateway = mesh.url.replace('http://', '');
    assert.deepEqual(targets, [
      {
        targets: ['127.0.0.1:9465'],
        labels: { instance: backbone.listen, role: 'llm-backbone' },
      },
      { targets: ['127.0.0.1:9465'], labels: { instance: gateway, role: 'gateway' } },
    ]);
    assert.deepEqual(await within(exit, { what: 'the end' }), [0, null]);
  });

  it('takes images once an encoder has come', async () => {
    assert(IMAGE_CASE !== undefined);
    const encoder = await mesh.run('vision-encoder');
    await backbone.lines.match(new RegExp(`vision encoder ${encoder.listen} is ready`));

    const { status, body } = await postChat(mesh.url, chatRequest(IMAGE_CASE));

    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(property(body, 'choices', 0, 'message', 'content'), IMAGE_CASE.reference);
  });
});
