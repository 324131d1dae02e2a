import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import { type EncoderStub, encodeItem } from '#mesh/encode/encoder-call.ts';
import { MeshError } from '#mesh/errors.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { modelDirectory, pngOf } from '#test/contract/encoder/harness.ts';
import { startSupervised } from '#test/contract/failover/supervised.ts';
import { HIDDEN_SIZE } from '#test/unit/encoder/doubles.ts';
import { visionEncoderOptions } from '#vision/options.ts';
import { POISON } from './poison.ts';

const never = new AbortController().signal;

interface Encoder {
  /** Id of the running process. */
  readonly pid: () => Promise<number>;
  /** Encodes an image of one gray; resolves to "rows" or to the reason of the failure. */
  readonly encode: (gray: number) => Promise<string>;
}

/** Starts encoders of one mesh, as the supervisor does. */
async function startEncoders(test: TestContext, count: number) {
  const role = {
    name: 'vision-encoder',
    options: visionEncoderOptions,
    main: 'test/contract/deploy/poisoned-encoder',
    values: { model: await modelDirectory(test), batchWindowMs: 500 },
  };
  const { processes, suspects, lines } = await startSupervised(test, role, count);
  const encoders = processes.map(({ listen, process }): Encoder => {
    const channel = openChannel(listen, 'tensors');
    test.after(() => channel.close());
    const stub = createMeshClient(encoderServiceDefinition, channel);
    const pid = async () => {
      while (process.pid === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
      return process.pid;
    };
    return { pid, encode: (gray) => encode(stub, gray) };
  });
  return { suspects, lines, encoders };
}

async function encode(stub: EncoderStub, gray: number): Promise<string> {
  await untilThere(stub);
  const content = await pngOf(gray);
  const item = { header: { mediaType: 'image/png', sizeBytes: BigInt(content.length) }, content };
  try {
    for await (const _ of encodeItem(stub, item, { hiddenSize: HIDDEN_SIZE, signal: never }));
    return 'rows';
  } catch (error: unknown) {
    assert(error instanceof MeshError);
    return error.isPeerLost ? 'lost' : error.reason;
  }
}

/** Waits until a process listens behind the stub. */
async function untilThere(stub: EncoderStub): Promise<void> {
  for (;;) {
    try {
      await stub.getModel({});
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

describe('An image that crashes its encoder', { timeout: 120_000 }, () => {
  it('is refused after two crashes, and its neighbours are encoded', async (test) => {
    const { suspects, lines, encoders } = await startEncoders(test, 2);
    const [one, other] = encoders;
    assert(one !== undefined && other !== undefined);
    const otherPid = await other.pid();

    const first = await Promise.all([one.encode(10), one.encode(POISON), one.encode(30)]);
    const second = await Promise.all([one.encode(10), one.encode(30)]);
    const third = await one.encode(POISON);
    const fourth = await Promise.all([one.encode(POISON), one.encode(40)]);
    const elsewhere = await Promise.all([other.encode(POISON), other.encode(50)]);

    // Neighbours are lost with it if they were decoded in time to be in its step.
    assert.equal(first[1], 'lost');
    assert.deepEqual(second, ['rows', 'rows']);
    assert.equal(third, 'lost');
    assert.deepEqual(fourth, ['QUARANTINED', 'rows']);
    assert.deepEqual(elsewhere, ['QUARANTINED', 'rows']);
    assert.equal(await other.pid(), otherPid, 'the other encoder was never harmed');
    assert.deepEqual(
      suspects.all.map(({ numDeaths }) => numDeaths),
      [2],
    );
    assert.equal(
      lines.filter(({ msg }) => /crashed with .* in its step/.test(String(msg))).length,
      2,
    );
  });

  it('is not suspected when somebody else kills the process', async (test) => {
    const { suspects, encoders } = await startEncoders(test, 1);
    const [one] = encoders;
    assert(one !== undefined);
    for (const signal of ['SIGKILL', 'SIGTERM']) {
      const answer = one.encode(10);
      process.kill(await one.pid(), signal);
      await answer;
      assert.equal(await one.encode(20), 'rows');
    }

    assert.deepEqual(suspects.all, []);
  });
});
