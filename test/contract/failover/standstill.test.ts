import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { pino } from 'pino';
import { backboneOptions } from '#backbone/options.ts';
import { sseData } from '#deploy/cli/chat/sse-data.ts';
import type { Suspects } from '#deploy/local/suspects.ts';
import { startGateway } from '#gateway/gateway.ts';
import { gatewayOptions } from '#gateway/options.ts';
import { Changes } from '#mesh/async/changes.ts';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import { encodeItem } from '#mesh/encode/encoder-call.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { resolveOptions } from '#mesh/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { InstanceServiceDefinition } from '#protos/autoglm/mesh/v1/instance.ts';
import { within } from '#test/bounded.ts';
import { modelDirectory, pngOf } from '#test/contract/encoder/harness.ts';
import { untilReady } from '#test/contract/gateway/harness.ts';
import { refusal } from '#test/refusal.ts';
import { HIDDEN_SIZE } from '#test/unit/encoder/doubles.ts';
import { visionEncoderOptions } from '#vision/options.ts';
import { block, unblock } from './blocked-thread.ts';
import { startSupervised } from './supervised.ts';

const MODEL = join(PACKAGE_ROOT, 'test', 'testdata', 'glm4-tiny');
const ANSWER_TOKENS = 60;
const { signal } = new AbortController();

async function openGateway(test: TestContext, backbone: readonly string[]): Promise<string> {
  const options = resolveOptions(
    gatewayOptions,
    { host: '127.0.0.1', port: 0, backbone: [...backbone] },
    {},
  );
  const gateway = await startGateway(options, pino({ level: 'silent' }));
  test.after(() => gateway.drain(0));
  await untilReady(gateway.url, backbone.length);
  return gateway.url;
}

/** Streams an answer and returns its text; `onText` is called when the first of it has come. */
async function answerOf(url: string, onText: () => Promise<void>): Promise<string> {
  const body = { prompt: [5, 6, 7], max_tokens: ANSWER_TOKENS, temperature: 0, stream: true };
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...body, ignore_eos: true }),
  });
  assert(response.body !== null);
  let text = '';
  for await (const data of sseData(response.body)) {
    if (data === '[DONE]') return text;
    const chunk = JSON.parse(data);
    const isFirst = text === '';
    text += chunk.choices[0].text;
    if (isFirst && text !== '') await onText();
  }
  throw new Error(`the stream was cut after ${text.length} characters`);
}

async function numRunningAt(listen: string): Promise<number> {
  const channel = openChannel(listen, 'tokens');
  try {
    const status = await createMeshClient(InstanceServiceDefinition, channel).getStatus({});
    return status.load?.numRunning ?? 0;
  } finally {
    channel.close();
  }
}

/** Resolves when no content is suspected. */
async function noneOf(suspects: Suspects): Promise<void> {
  const changes = new Changes();
  suspects.onChange(() => changes.notify());
  while (suspects.all.length > 0) await changes.after(changes.count, { signal });
}

describe('A process whose engine stands still', { timeout: 120_000 }, () => {
  it('loses no token of an answer: it says so, ends, and is started again', async (test) => {
    const role = {
      name: 'llm-backbone',
      options: backboneOptions,
      main: 'test/contract/failover/standing-backbone',
      values: { model: MODEL, servedModelName: ['tiny'], stepTimeoutS: 1 },
    };
    const { processes, suspects, lines } = await startSupervised(test, role, 2);
    const addresses = processes.map(({ listen }) => listen);
    for (const listen of addresses) test.after(() => unblock(listen));
    const url = await openGateway(test, addresses);
    const undisturbed = await answerOf(url, async () => {});
    let standing = '';

    const answer = await answerOf(url, async () => {
      for (const listen of addresses) if ((await numRunningAt(listen)) > 0) standing = listen;
      block(standing);
    });

    assert.equal(answer, undisturbed);
    const found = processes.find(({ listen }) => listen === standing);
    assert(found !== undefined);
    await unblock(standing);
    await untilReady(url, 2);
    assert.equal(found.process.numRestarts, 1);
    const said = lines.map(({ msg }) => String(msg));
    assert(said.some((line) => /was killed by SIGABRT/.test(line)));
    assert(said.some((line) => /crashed with .* in its step: suspected/.test(line)));
    // It may have answered before anybody knew that the content is suspected: then the next one does.
    await answerOf(url, async () => {});
    await within(noneOf(suspects), { what: 'a process to clear the content' });
  });

  it('tells the callers of an encoder to ask another, and is started again', async (test) => {
    const role = {
      name: 'vision-encoder',
      options: visionEncoderOptions,
      main: 'test/contract/failover/standing-encoder',
      values: { model: await modelDirectory(test), stepTimeoutS: 1 },
    };
    const { processes } = await startSupervised(test, role, 1);
    const [only] = processes;
    assert(only !== undefined);
    const { listen } = only;
    test.after(() => unblock(listen));
    const channel = openChannel(listen, 'tensors');
    test.after(() => channel.close());
    const stub = createMeshClient(encoderServiceDefinition, channel);
    const encode = async (gray: number) => {
      const content = await pngOf(gray);
      const header = { mediaType: 'image/png', sizeBytes: BigInt(content.length) };
      const item = { header, content };
      for await (const _ of encodeItem(stub, item, { hiddenSize: HIDDEN_SIZE, signal }));
    };
    await encode(10);
    block(listen);

    await assert.rejects(encode(20), refusal('ENGINE_DEAD', /has not ended for 1 s/));

    await unblock(listen);
    const seen = only.process.changes.count;
    if (only.process.numRestarts === 0) await only.process.changes.after(seen, { signal });
    await only.process.started(signal);
    await encode(20);
    assert.equal(only.process.numRestarts, 1);
  });
});
