import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ODD_REQUESTS } from '#test/contract/gateway/odd-numbers.ts';
import { whileAnotherStreams } from './bystander.ts';
import { type Body, jsonPost } from './chat-request.ts';
import { type Mesh, property, startMesh } from './mesh.ts';

describe('a bad request while another client streams', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh();
  });
  after(() => mesh.stop());

  async function complete(body: Body): Promise<{ status: number; message: string }> {
    const answer = await fetch(`${mesh.url}/v1/completions`, jsonPost(body));
    const message = String(property(await answer.json(), 'error', 'message'));
    return { status: answer.status, message };
  }

  it('refuses a repetition penalty that would overflow', async () => {
    const body = { prompt: [5], allowed_token_ids: [5], repetition_penalty: 3e38, max_tokens: 1 };

    const answers = await whileAnotherStreams(mesh.url, () =>
      Promise.all([body, body, body, body].map(complete)),
    );

    for (const { status, message } of answers) {
      assert.equal(status, 400);
      assert.match(message, /repetition_penalty must be a number from 0.01 to 100/);
    }
  });

  it('refuses stop tokens that leave nothing to begin with', async () => {
    const { message: unknown } = await complete({ prompt: [4_294_967_295] });
    const vocabSize = Number(/has (\d+) tokens/.exec(unknown)?.[1]);
    const stopTokenIds = Array.from({ length: vocabSize }, (_, id) => id);
    const body = { prompt: 'Hi', stop_token_ids: stopTokenIds, min_tokens: 1, max_tokens: 2 };

    const answers = await whileAnotherStreams(mesh.url, () =>
      Promise.all([body, body, body, body].map(complete)),
    );

    for (const { status, message } of answers) {
      assert.equal(status, 400);
      assert.match(message, /min_tokens: every token is a stop token/);
    }
  });

  it('answers or refuses every odd number', async () => {
    await whileAnotherStreams(mesh.url, async () => {
      for (const { name, path, body } of ODD_REQUESTS) {
        const answer = await fetch(mesh.url + path, { ...jsonPost({}), body });
        const text = await answer.text();
        assert([200, 400].includes(answer.status), `${name}: ${answer.status} ${text}`);
      }
    });
  });
});
