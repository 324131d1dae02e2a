import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { createServer } from 'nice-grpc';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import { type EncodeEvent, encodeItem } from '#mesh/encode/encoder-call.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { DType } from '#protos/autoglm/common/v1/tensor.ts';
import {
  EncodeDone,
  EncodePlan,
  type EncodeResponse,
  GetModelResponse,
} from '#protos/autoglm/encoder/v1/encoder.ts';
import { refusal } from '#test/refusal.ts';

const HIDDEN_SIZE = 2;

function plan(numRows: number): EncodeResponse {
  return { event: { $case: 'plan', value: EncodePlan.create({ numRows }) } };
}

interface TensorShape {
  readonly dtype?: DType;
  readonly shape?: number[];
  readonly bytes?: number;
}

/** Makes two rows of float32, with the changes of the test. */
function rows(firstRow: number, tensor: TensorShape = {}): EncodeResponse {
  const { dtype = DType.D_TYPE_FLOAT32, shape = [2, HIDDEN_SIZE], bytes = 16 } = tensor;
  const value = { firstRow, rows: { dtype, shape, data: Buffer.alloc(bytes, 1) } };
  return { event: { $case: 'rows', value } };
}

const done: EncodeResponse = { event: { $case: 'done', value: EncodeDone.create() } };

/** Calls an encoder that answers every upload with these messages. */
async function answered(test: TestContext, script: readonly EncodeResponse[]) {
  const server = createServer();
  const received: number[] = [];
  server.add(encoderServiceDefinition, {
    async *encode(requests) {
      for await (const { event } of requests) {
        received.push(event?.$case === 'chunk' ? event.value.length : -1);
      }
      yield* script;
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
  const call = async (content: Uint8Array = Buffer.alloc(3)) => {
    const events: EncodeEvent[] = [];
    for await (const event of encodeItem(client, { header: {}, content }, options)) {
      events.push(event);
    }
    return events;
  };
  return { call, received };
}

describe('encodeItem', () => {
  it('gives plan, rows and done of a sound answer', async (test) => {
    const { call } = await answered(test, [plan(4), rows(0), rows(2), done]);

    const events = await call();

    assert.deepEqual(
      events.map((event) => (event.kind === 'rows' ? event.rows.firstRow : event.kind)),
      ['plan', 0, 2, 'done'],
    );
    assert.ok(events[1]?.kind === 'rows');
    assert.deepEqual(events[1].rows.data, Buffer.alloc(16, 1));
    assert.equal(events[1].rows.dtype, 'float32');
  });

  it('takes rows of bfloat16', async (test) => {
    const tensor = { dtype: DType.D_TYPE_BFLOAT16, bytes: 8 };
    const { call } = await answered(test, [plan(2), rows(0, tensor), done]);

    const [, event] = await call();

    assert.ok(event?.kind === 'rows' && event.rows.dtype === 'bfloat16');
  });

  it('sends the header and the bytes in chunks of 256 KiB', async (test) => {
    const { call, received } = await answered(test, [plan(2), rows(0), done]);

    await call(Buffer.alloc(600_000));

    assert.deepEqual(received, [-1, 262_144, 262_144, 75_712]);
  });

  const broken: readonly [string, readonly EncodeResponse[], RegExp][] = [
    ['ends without a message', [], /ended before "done"/],
    ['ends before done', [plan(2), rows(0)], /ended before "done"/],
    ['holds an empty message', [{ event: undefined }], /without an event/],
    ['has rows before the plan', [rows(0)], /rows before the plan/],
    ['has two plans', [plan(2), plan(2)], /a second plan/],
    ['has done without a plan', [done], /no plan before "done"/],
    ['goes on after done', [plan(2), rows(0), done, done], /"done" after "done"/],
    ['lacks rows', [plan(4), rows(0), done], /2 of 4 rows before "done"/],
    ['has more rows than planned', [plan(2), rows(0), rows(2)], /4 rows where the plan says 2/],
    ['has a gap', [plan(4), rows(2)], /row 2 where 0 was due/],
    ['repeats rows', [plan(4), rows(0), rows(0)], /row 0 where 2 was due/],
    [
      'has another width',
      [plan(2), rows(0, { shape: [1, 4] })],
      /shape \[1,4\], expected \[n, 2\]/,
    ],
    ['has a flat shape', [plan(2), rows(0, { shape: [4] })], /shape \[4\]/],
    ['has a deep shape', [plan(2), rows(0, { shape: [2, 2, 1] })], /shape \[2,2,1\]/],
    ['has no rows in rows', [plan(2), rows(0, { shape: [0, 2], bytes: 0 })], /shape \[0,2\]/],
    ['has too few bytes', [plan(2), rows(0, { bytes: 12 })], /12 bytes for float32 \[2,2\].* 16/],
    ['has no dtype', [plan(2), rows(0, { dtype: DType.D_TYPE_UNSPECIFIED })], /dtype 0/],
    [
      'has no tensor',
      [plan(2), { event: { $case: 'rows', value: { firstRow: 0, rows: undefined } } }],
      /dtype undefined/,
    ],
  ];
  for (const [name, script, message] of broken) {
    it(`refuses an answer that ${name}`, async (test) => {
      const { call } = await answered(test, script);

      await assert.rejects(call(), refusal('ENGINE_FAILED', message));
    });
  }
});
