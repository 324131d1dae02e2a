import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import { encodeItem } from '#mesh/encode/encoder-call.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { refusal } from '#test/refusal.ts';
import { HIDDEN_SIZE, settled, until } from '#test/unit/encoder/doubles.ts';
import { metricsOf } from './encoder-metrics.ts';
import { firstOf, pngOf, startVision } from './harness.ts';

describe('an encoder that several clients ask', () => {
  it('has the only item of one in the next batch, however many another sent before', async (test) => {
    const encoder = await startVision(test, {
      options: { maxBatchSize: 2, batchWindowMs: 10_000 },
    });
    const { encode, tower } = encoder;
    const numDecoded = async () => (await metricsOf(encoder, test))('encoder_queue_depth') ?? 0;
    tower.isHeld = true;
    const ended: string[] = [];
    const ask = async (clientId: string, gray: number) => {
      const requestId = `${clientId} ${gray}`;
      await encode({ header: { clientId, requestId }, content: await pngOf(gray) });
      ended.push(clientId);
    };
    const flood = Array.from({ length: 9 }, (_, i) => ask('flood', i));
    while ((await numDecoded()) < 2) await settled();

    const single = ask('single', 100);
    while ((await numDecoded()) < 3) await settled();
    tower.release();
    await until(() => tower.trace.length === 2);
    tower.release();
    await single;

    assert.deepEqual(ended.slice(0, 2), ['flood', 'flood']);
    assert.ok(ended.indexOf('single') <= 3, `${ended}`);
    tower.isHeld = false;
    tower.release();
    await Promise.all(flood);
  });

  it('refuses a name of a client that is too long', async (test) => {
    const { encode } = await startVision(test);
    const header = { clientId: 'x'.repeat(257) };

    await assert.rejects(
      encode({ header, content: await pngOf(1) }),
      refusal('INVALID_REQUEST', /256/, 'client_id'),
    );
  });

  it('gives the place of a caller that reads none of its rows to an item that wants it', async (test) => {
    const clock = new FakeClock();
    const options = { maxQueue: 1 };
    const { encode, process } = await startVision(test, { options, clock });
    const channel = openChannel(process.address, 'tokens');
    test.after(() => channel.close());
    const client = createMeshClient(encoderServiceDefinition, channel);
    const { signal } = new AbortController();
    const content = await pngOf(1, { width: 4096, height: 4096 });
    const unread = encodeItem(client, { header: {}, content }, { hiddenSize: HIDDEN_SIZE, signal });
    await firstOf(unread, 'rows');
    const other = async () => encode({ header: {}, content: await pngOf(2) });
    await assert.rejects(other(), refusal('QUEUE_FULL', /at most 1 may/));
    // Rows are sent until the channel is full, however long that takes.
    const outcome = () =>
      other().then(
        ({ values }) => values,
        () => {
          clock.advance(3000);
        },
      );
    let values: readonly number[] | undefined;
    while (values === undefined) values = (await outcome()) ?? undefined;

    assert.deepEqual(values, [2]);
    const read = async () => {
      while ((await unread.next()).done !== true);
    };
    await assert.rejects(read(), refusal('QUEUE_FULL', /given away.* for 3 s/));
  });
});
