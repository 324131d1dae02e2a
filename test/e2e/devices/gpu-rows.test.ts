import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { type Body, streamAnswer, userMessage } from '#test/e2e/request/chat-request.ts';
import { imagePart } from '#test/e2e/request/phone-cases.ts';
import { noEmulatedGpus, withEmulatedGpus } from '#test/emulated-gpus.ts';
import { ownMetric } from '../counters.ts';
import { type Mesh, startMesh } from '../mesh.ts';

const MODEL = join(PACKAGE_ROOT, 'test/testdata/glm4v-tiny');

/** A question about one of the model's pictures; the emulator takes its time, so answers are short. */
function question(picture: number): Body {
  const png = readFileSync(join(MODEL, `images/${picture}.png`));
  const parts = [imagePart(png), { type: 'text', text: 'what is this?' }];
  return { messages: userMessage(parts), max_tokens: 4, temperature: 0, ignore_eos: true };
}

/** Starts a mesh whose processes run on these devices. */
function startOn(devices: { readonly encoder: string; readonly backbone: string }) {
  return startMesh({
    model: MODEL,
    numEncoders: { 'speech-encoder': 0 },
    encoders: [`device: ${devices.encoder}`],
    backbone: [`device: '${devices.backbone}'`],
    // Steps of the emulator are slow, and its largest one is part of a start.
    flags: ['--max-num-batched-tokens=16', '--max-num-seqs=4', '--max-model-len=512'],
    keys: [
      'gpu-rows-mb: 8',
      'progress-timeout-s: 60',
      'liveness-timeout-s: 60',
      'recovery-wait-s: 60',
    ],
    env: withEmulatedGpus(2),
  });
}

/** Returns the bytes of rows that a mesh's backbone has received by a way. */
function received({ backboneAddress }: Mesh, transport: string): Promise<number> {
  const labels = { transport };
  return ownMetric(backboneAddress, {
    name: 'embedding_received_bytes',
    suffix: '_total',
    labels,
  });
}

describe('rows of pictures between GPUs', { skip: noEmulatedGpus, timeout: 240_000 }, () => {
  const expected: string[] = [];
  before(async () => {
    const mesh = await startOn({ encoder: 'cpu', backbone: 'cpu' });
    for (const picture of [0, 1]) {
      const { text, error } = await streamAnswer(mesh.url, question(picture));
      assert.equal(error, undefined);
      expected.push(text);
    }
    assert.equal(await received(mesh, 'device_memory'), 0);
    await mesh.stop();
  });

  for (const backbone of ['cuda:0', 'cuda:0,cuda:1']) {
    describe(`with a language model on ${backbone}`, () => {
      let mesh: Mesh;
      before(async () => {
        mesh = await startOn({ encoder: 'cuda:0', backbone });
      });
      after(() => mesh.stop());

      it('go from GPU to GPU, and give the answers of rows in memory of the host', async () => {
        const answer = await streamAnswer(mesh.url, question(0));

        assert.equal(answer.error, undefined);
        assert.equal(answer.text, expected[0]);
        assert.ok((await received(mesh, 'device_memory')) > 0);
        assert.equal(await received(mesh, 'message'), 0);
        assert.equal(await received(mesh, 'shared_memory'), 0);
      });

      it('come again from an encoder that was killed', async () => {
        const before = await received(mesh, 'device_memory');
        const [encoder] = await mesh.pids('vision-encoder');
        assert.ok(encoder !== undefined);
        const asking = streamAnswer(mesh.url, question(1));

        process.kill(encoder, 'SIGKILL');

        const answer = await asking;
        assert.equal(answer.error, undefined);
        assert.equal(answer.text, expected[1]);
        assert.ok((await received(mesh, 'device_memory')) > before);
        assert.equal(await received(mesh, 'message'), 0);
      });
    });
  }
});
