import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createServer } from 'nice-grpc';
import { rowsMessages } from '#encoder/encoder-rows.ts';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import { encodeItem } from '#mesh/encode/encoder-call.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import {
  EncodeDone,
  EncodePlan,
  type EncodeResponse,
  GetModelResponse,
} from '#protos/autoglm/encoder/v1/encoder.ts';
import { settled } from '#test/unit/encoder/doubles.ts';

const HIDDEN_SIZE = 4096;
/** 256 MiB of rows in 1,024 messages. */
const NUM_ROWS = 16 * 1024;
/**
 * Most messages that a channel for tensors may hold: its window of 16 MiB, and the buffers of both
 * ends.
 */
const MAX_MESSAGES_IN_FLIGHT = 160;

describe('an answer whose caller reads slowly', () => {
  it('stays in the encoder but for what the channel holds, and arrives whole', async (test) => {
    const rows = new Float32Array(NUM_ROWS * HIDDEN_SIZE);
    let numSent = 0;
    const server = createServer();
    server.add(encoderServiceDefinition, {
      async *encode(): AsyncGenerator<EncodeResponse> {
        yield { event: { $case: 'plan', value: EncodePlan.create({ numRows: NUM_ROWS }) } };
        for (const message of rowsMessages(rows, { hiddenSize: HIDDEN_SIZE })) {
          numSent += 1;
          yield message;
        }
        yield { event: { $case: 'done', value: EncodeDone.create() } };
      },
      getModel: async () => GetModelResponse.create(),
    });
    const port = await server.listen('127.0.0.1:0');
    const channel = openChannel(`127.0.0.1:${port}`, 'tensors');
    test.after(() => {
      channel.close();
      server.forceShutdown();
    });
    const client = createMeshClient(encoderServiceDefinition, channel);
    const options = { hiddenSize: HIDDEN_SIZE, signal: new AbortController().signal };

    const events = encodeItem(client, { header: {}, content: new Uint8Array(1) }, options);
    await events.next();
    for (let before = -1; before !== numSent; ) {
      before = numSent;
      for (let turn = 0; turn < 50; turn++) await settled();
    }
    const numHeld = numSent;
    let numRows = 0;
    for await (const event of events) numRows += event.kind === 'rows' ? event.rows.numRows : 0;

    assert.ok(numHeld < MAX_MESSAGES_IN_FLIGHT, `${numHeld} messages were sent`);
    assert.equal(numRows, NUM_ROWS);
    assert.equal(numSent, 1024);
  });
});
