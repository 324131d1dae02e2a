import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Mesh, property, startMesh } from '#test/e2e/mesh.ts';
import { postChat, streamAnswer, userMessage } from '#test/e2e/request/chat-request.ts';
import { GOLDEN_TEXTS } from '#test/e2e/request/golden.ts';
import { ANSWERED, Clients, CUT } from './clients.ts';
import { ExtraGateway } from './extra-gateway.ts';
import { type Nginx, SKIP_WITHOUT_NGINX, startNginx } from './nginx.ts';

const QUESTION = { messages: userMessage('你是谁?') };
const CROWD = { numWhole: 4, numStreams: 3, question: QUESTION };

describe('three gateways behind nginx, configured as the example is', {
  skip: SKIP_WITHOUT_NGINX,
}, () => {
  let mesh: Mesh;
  let nginx: Nginx;
  let gateways: readonly [ExtraGateway, ExtraGateway, ExtraGateway];

  before(async () => {
    mesh = await startMesh();
    const flags = ['--trusted-proxies', '127.0.0.1', '--allowed-hosts', 'mesh.example'];
    const start = () => ExtraGateway.start(mesh.backboneAddress, flags);
    gateways = [await start(), await start(), await start()];
    nginx = await startNginx(gateways.map(({ address }) => address));
  });
  after(async () => {
    await nginx.stop();
    for (const gateway of gateways) gateway.kill();
    await mesh.stop();
  });

  it('answer, and stream token by token', async () => {
    const { status, body } = await postChat(nginx.url, QUESTION);
    const pieces: string[] = [];
    const streamed = await streamAnswer(nginx.url, QUESTION, (piece) => pieces.push(piece));

    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(property(body, 'choices', 0, 'message', 'content'), GOLDEN_TEXTS[0]?.answer);
    assert.equal(streamed.text, GOLDEN_TEXTS[0]?.answer);
    assert(pieces.length > 3);
  });

  it('answer every request and end every stream while two drain and come back', async () => {
    const [first, second] = gateways;
    const clients = new Clients(nginx.url, CROWD);

    for (const gateway of [first, second]) {
      await gateway.untilBusy(2);
      assert.deepEqual(await gateway.end('SIGTERM'), [0, null]);
      await gateway.restart();
    }
    await clients.stop();

    assert.deepEqual([...clients.whole.keys()], [ANSWERED]);
    assert.deepEqual([...clients.streams.keys()], [ANSWERED]);
    assert((clients.whole.get(ANSWERED) ?? 0) > 2 * CROWD.numWhole);
  });

  it('answer every request that has not received a byte when one of them is killed', async (t) => {
    const [, , killed] = gateways;
    const clients = new Clients(nginx.url, CROWD);

    await killed.untilBusy(3);
    assert.deepEqual(await killed.end('SIGKILL'), [null, 'SIGKILL']);
    await killed.restart();
    await clients.stop();

    t.diagnostic(`streams: ${JSON.stringify([...clients.streams])}`);
    assert.deepEqual([...clients.whole.keys()], [ANSWERED]);
    assert.deepEqual(
      [...clients.streams.keys()].filter((one) => one !== CUT),
      [ANSWERED],
    );
  });

  it('answer every request when all were killed one after the other within 30 s', async () => {
    const clients = new Clients(nginx.url, { ...CROWD, numStreams: 0 });

    for (const gateway of gateways) {
      await gateway.end('SIGKILL');
      await gateway.restart();
    }
    await clients.stop();

    assert.deepEqual([...clients.whole.keys()], [ANSWERED]);
    // nginx has given up each of them for a while, so the last requests went to the backup lines.
    const errors = await nginx.errors();
    for (const { address } of gateways) {
      const disabled = `temporarily disabled while [^\\n]*upstream: "http://${address}`;
      assert.match(errors, new RegExp(disabled));
    }
  });
});
