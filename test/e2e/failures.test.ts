import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { postChat, streamAnswer, userMessage } from '#test/e2e/request/chat-request.ts';
import { GOLDEN_TEXTS } from '#test/e2e/request/golden.ts';
import { LONG_ANSWER, runLoad } from '#test/e2e/request/load.ts';
import { type Mesh, property, spawnMesh, startMesh } from './mesh.ts';

const QUESTION = { messages: userMessage('你是谁?') };

interface Moment {
  readonly come: Promise<void>;
  readonly arrive: () => void;
}

function moment(): Moment {
  let arrive = () => {};
  const come = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  return { come, arrive };
}

describe('a mesh under load', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh();
  });
  after(() => mesh.stop());

  it('serves 64 streams at once for five seconds without an error', async () => {
    const answers = await runLoad({
      url: mesh.url,
      numStreams: 64,
      until: AbortSignal.timeout(5000),
    });

    assert(answers.length >= 64);
    assert.deepEqual(
      answers.filter(({ done }) => !done),
      [],
    );
    assert.equal(new Set(answers.map(({ text }) => text)).size, 1, 'one seed gives one text');
  });

  it('tells every client when the backbone is killed, and serves again afterwards', async () => {
    const [pid] = await mesh.pids('llm-backbone');
    assert(pid !== undefined);
    const firstChunk = moment();
    const loadEnd = new AbortController();
    const load = runLoad({
      url: mesh.url,
      numStreams: 16,
      until: loadEnd.signal,
      onFirstChunk: firstChunk.arrive,
    });
    await firstChunk.come;
    const numLines = mesh.lines.seen.length;

    process.kill(pid, 'SIGKILL');
    await mesh.lines.match(/llm-backbone was killed by SIGKILL/);
    loadEnd.abort();

    const failed = (await load).filter(({ done }) => !done);
    assert(failed.length > 0, 'nothing was running when the backbone died');
    for (const { error } of failed) assert(error !== undefined, 'a stream ended in silence');
    await mesh.lines.match(/backbone .* is ready/, numLines);
    const { status, body } = await postChat(mesh.url, QUESTION);
    assert.equal(status, 200);
    assert.equal(property(body, 'choices', 0, 'message', 'content'), GOLDEN_TEXTS[0]?.answer);
  });
});

describe('the end of a mesh', () => {
  it('lets running answers finish when it is stopped', async () => {
    const mesh = await startMesh();
    const firstChunk = moment();
    const answer = streamAnswer(mesh.url, LONG_ANSWER, firstChunk.arrive);
    await firstChunk.come;

    const status = mesh.stop();

    assert.equal((await answer).done, true);
    assert.equal(await status, 0);
  });

  it('comes to every process when the supervisor is killed', async () => {
    const mesh = await startMesh();

    mesh.supervisor.kill('SIGKILL');

    // All processes write to this stream; it ends with the last of them.
    await mesh.lines.ended;
    await assert.rejects(fetch(`${mesh.url}/ping`));
  });
});

describe('a mesh that cannot start', () => {
  it('names the key of a port in use', async (t) => {
    const squatter = createServer().listen(0, '127.0.0.1');
    t.after(() => squatter.close());
    await once(squatter, 'listening');
    const address = squatter.address();
    assert(typeof address === 'object' && address !== null);

    const mesh = await spawnMesh({ port: address.port });

    await mesh.lines.match(/EADDRINUSE.*key \\"port\\" in the section \\"gateway\\"/);
    assert.equal(await mesh.exit, 1);
  });

  it('ends with the reason of the process that refused', async () => {
    const mesh = await spawnMesh({ backbone: ['model: /nowhere'] });

    await mesh.lines.match(/\/nowhere/);
    await mesh.lines.match(/llm-backbone exited with status 1 .* before the mesh was ready/);
    assert.equal(await mesh.exit, 1);
  });

  it('ends when an encoder cannot have its device, and names it', async () => {
    const mesh = await spawnMesh({ encoders: ['device: cpu:999'] });

    await mesh.lines.match(/device .*cpu:999.*core 999 is not available/);
    await mesh.lines.match(/-encoder exited with status 1 .* before the mesh was ready/);
    assert.equal(await mesh.exit, 1);
  });
});
