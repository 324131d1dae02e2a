import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { EncodeResponseCodec } from '#mesh/encode/encode-response-codec.ts';
import { DType } from '#protos/autoglm/common/v1/tensor.ts';
import { EncodeResponse } from '#protos/autoglm/encoder/v1/encoder.ts';
import { numbers } from '#test/mutations.ts';

function randomRows(next: (below: number) => number): EncodeResponse {
  const shape = Array.from({ length: next(4) }, () => next(70_000));
  const data = Buffer.from(Uint8Array.from({ length: next(5) * next(200) }, () => next(256)));
  const dtype = [DType.D_TYPE_UNSPECIFIED, DType.D_TYPE_FLOAT32, DType.D_TYPE_BFLOAT16][next(3)];
  const firstRow = next(2) * next(2 ** 32);
  return {
    event: { $case: 'rows', value: { firstRow, rows: { dtype: dtype ?? 0, shape, data } } },
  };
}

const plan = EncodeResponse.fromPartial({
  event: {
    $case: 'plan',
    value: { numRows: 72, grid: { t: 1, h: 24, w: 12 }, contentHash: Buffer.alloc(32, 7) },
  },
});
const shared = EncodeResponse.fromPartial({
  event: {
    $case: 'sharedRows',
    value: {
      dtype: DType.D_TYPE_FLOAT32,
      shape: [72, 128],
      memory: { processId: 7, fileDescriptor: 31, sizeBytes: 36_864n, token: Buffer.alloc(16, 1) },
    },
  },
});
const done = EncodeResponse.fromPartial({ event: { $case: 'done', value: { encodeUs: 900n } } });

describe('EncodeResponseCodec', () => {
  for (const [name, message] of Object.entries({
    plan,
    shared,
    done,
    empty: { event: undefined },
  })) {
    it(`writes and reads the ${name} message as the generated codec does`, () => {
      const bytes = EncodeResponseCodec.encode(message).finish();

      assert.equal(Buffer.compare(bytes, EncodeResponse.encode(message).finish()), 0);
      assert.deepEqual(EncodeResponseCodec.decode(bytes), EncodeResponse.decode(bytes));
    });
  }

  it('agrees with the generated codec on 500 random rows messages', () => {
    const next = numbers(0x9e3779b9);
    for (let i = 0; i < 500; i++) {
      const message = randomRows(next);

      const bytes = EncodeResponseCodec.encode(message).finish();

      const expected = EncodeResponse.encode(message).finish();
      assert.equal(Buffer.compare(bytes, expected), 0, `case ${i}: bytes`);
      assert.deepEqual(EncodeResponseCodec.decode(expected), message, `case ${i}: message`);
    }
  });

  it('reads the tensor as a view of the message, without a copy', () => {
    const data = Buffer.alloc(1024, 5);
    const rows = { dtype: DType.D_TYPE_FLOAT32, shape: [1, 256], data };
    const bytes = EncodeResponse.encode({
      event: { $case: 'rows', value: { firstRow: 3, rows } },
    }).finish();

    const { event } = EncodeResponseCodec.decode(bytes);

    assert.equal(event?.$case, 'rows');
    assert.equal(event.$case === 'rows' && event.value.rows?.data.buffer, bytes.buffer);
  });

  it('writes the tensor into memory that Buffer.from takes over without a copy', () => {
    const rows = { dtype: DType.D_TYPE_FLOAT32, shape: [1, 256], data: Buffer.alloc(1024, 5) };
    const event = { $case: 'rows', value: { firstRow: 3, rows } } as const;

    const bytes = EncodeResponseCodec.encode({ event }).finish();

    const taken = Buffer.from(bytes);
    assert.equal(taken.buffer, bytes.buffer);
    assert.deepEqual(taken, Buffer.from(EncodeResponse.encode({ event }).finish()));
  });

  it('skips unknown fields at every level and reads an unpacked shape', () => {
    const tensor = new BinaryWriter()
      .tag(9, WireType.Varint)
      .uint32(1)
      .tag(2, WireType.Varint)
      .uint32(2)
      .tag(2, WireType.Varint)
      .uint32(1)
      .tag(1, WireType.Varint)
      .int32(1)
      .tag(3, WireType.LengthDelimited)
      .bytes(Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]))
      .finish();
    const rows = new BinaryWriter()
      .tag(7, WireType.Bit64)
      .fixed64(1n)
      .tag(2, WireType.LengthDelimited)
      .bytes(tensor)
      .tag(1, WireType.Varint)
      .uint32(11)
      .finish();
    const bytes = new BinaryWriter()
      .tag(12, WireType.LengthDelimited)
      .string('later')
      .tag(2, WireType.LengthDelimited)
      .bytes(rows)
      .tag(13, WireType.Bit32)
      .fixed32(1)
      .finish();

    const decoded = EncodeResponseCodec.decode(bytes);

    assert.deepEqual(decoded, EncodeResponse.decode(bytes));
    assert.equal(decoded.event?.$case === 'rows' && decoded.event.value.firstRow, 11);
  });

  it('refuses a message cut short', () => {
    const bytes = EncodeResponse.encode(randomRows(numbers(77))).finish();

    for (let length = 1; length < bytes.length; length++) {
      assert.throws(() => EncodeResponseCodec.decode(bytes.subarray(0, length)), `${length} bytes`);
    }
  });
});
