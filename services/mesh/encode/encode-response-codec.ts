import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { DType, Tensor } from '#protos/autoglm/common/v1/tensor.ts';
import {
  DeviceRows,
  EncodeDone,
  EncodePlan,
  EncodeResponse,
  type EncodeRows,
  EncoderServiceDefinition,
  SharedRows,
} from '#protos/autoglm/encoder/v1/encoder.ts';

// The generated codec copies tensor bytes at every level of nesting; this one writes them once, into
// the message, and reads them as a view of it. The bytes on the wire are the same.

/** Tags of the fields on the way to the tensor's bytes: field number and wire type. */
const RESPONSE_PLAN = tag(1, WireType.LengthDelimited);
const RESPONSE_ROWS = tag(2, WireType.LengthDelimited);
const RESPONSE_DONE = tag(3, WireType.LengthDelimited);
const RESPONSE_SHARED_ROWS = tag(4, WireType.LengthDelimited);
const RESPONSE_DEVICE_ROWS = tag(5, WireType.LengthDelimited);
const ROWS_FIRST_ROW = tag(1, WireType.Varint);
const ROWS_TENSOR = tag(2, WireType.LengthDelimited);
const TENSOR_DTYPE = tag(1, WireType.Varint);
const TENSOR_DIMENSION = tag(2, WireType.Varint);
const TENSOR_SHAPE = tag(2, WireType.LengthDelimited);
const TENSOR_DATA = tag(3, WireType.LengthDelimited);

function tag(field: number, wireType: WireType): number {
  return (field << 3) | wireType;
}

/** Reads and writes EncodeResponse; a decoded tensor's `data` is a view of the received message. */
export const EncodeResponseCodec = {
  encode(message: EncodeResponse): { finish(): Uint8Array } {
    return { finish: () => encodeResponse(message) };
  },
  decode(input: Uint8Array): EncodeResponse {
    const message: EncodeResponse = { event: undefined };
    const reader = new BinaryReader(input);
    readFields(reader, reader.len, (field) => {
      if (field === RESPONSE_PLAN) {
        message.event = { $case: 'plan', value: EncodePlan.decode(reader, reader.uint32()) };
      } else if (field === RESPONSE_ROWS) {
        message.event = { $case: 'rows', value: decodeRows(reader, endOfField(reader)) };
      } else if (field === RESPONSE_DONE) {
        message.event = { $case: 'done', value: EncodeDone.decode(reader, reader.uint32()) };
      } else if (field === RESPONSE_SHARED_ROWS) {
        const value = SharedRows.decode(reader, reader.uint32());
        message.event = { $case: 'sharedRows', value };
      } else if (field === RESPONSE_DEVICE_ROWS) {
        const value = DeviceRows.decode(reader, reader.uint32());
        message.event = { $case: 'deviceRows', value };
      } else return false;
      return true;
    });
    return message;
  },
};

/** `EncoderServiceDefinition` with this codec in its `Encode`; servers and clients use this one. */
export const encoderServiceDefinition = {
  ...EncoderServiceDefinition,
  methods: {
    ...EncoderServiceDefinition.methods,
    encode: { ...EncoderServiceDefinition.methods.encode, responseType: EncodeResponseCodec },
  },
} as const;

function encodeResponse(message: EncodeResponse): Uint8Array {
  const event = message.event;
  if (event?.$case !== 'rows') return EncodeResponse.encode(message).finish();
  const data = event.value.rows?.data;
  if (data === undefined || data.length === 0) return EncodeResponse.encode(message).finish();
  const head = encodeHead(event.value, data.length);
  const bytes = Buffer.allocUnsafeSlow(head.length + data.length);
  bytes.set(head, 0);
  bytes.set(data, head.length);
  // nice-grpc passes the bytes through `Buffer.from`, which copies an array of bytes, but not the
  // ArrayBuffer that `valueOf` returns.
  return Object.defineProperty(bytes, 'valueOf', { value: () => bytes.buffer });
}

/** Encodes the part of a rows message before the tensor's bytes, which are its last field. */
function encodeHead(rows: EncodeRows, dataBytes: number): Uint8Array {
  const shape = Tensor.encode({
    dtype: rows.rows?.dtype ?? DType.D_TYPE_UNSPECIFIED,
    shape: rows.rows?.shape ?? [],
    data: Buffer.alloc(0),
  }).finish();
  const dataHead = new BinaryWriter().uint32(TENSOR_DATA).uint32(dataBytes).finish();
  const tensorBytes = shape.length + dataHead.length + dataBytes;
  const rowsHead = new BinaryWriter();
  if (rows.firstRow !== 0) rowsHead.uint32(ROWS_FIRST_ROW).uint32(rows.firstRow);
  const tensorHead = rowsHead.uint32(ROWS_TENSOR).uint32(tensorBytes).finish();
  return new BinaryWriter()
    .uint32(RESPONSE_ROWS)
    .uint32(tensorHead.length + tensorBytes)
    .raw(tensorHead)
    .raw(shape)
    .raw(dataHead)
    .finish();
}

function decodeRows(reader: BinaryReader, end: number): EncodeRows {
  const message: EncodeRows = { firstRow: 0, rows: undefined };
  readFields(reader, end, (field) => {
    if (field === ROWS_FIRST_ROW) message.firstRow = reader.uint32();
    else if (field === ROWS_TENSOR) message.rows = decodeTensor(reader, endOfField(reader));
    else return false;
    return true;
  });
  return message;
}

function decodeTensor(reader: BinaryReader, end: number): Tensor {
  const message: Tensor = { dtype: DType.D_TYPE_UNSPECIFIED, shape: [], data: Buffer.alloc(0) };
  readFields(reader, end, (field) => {
    if (field === TENSOR_DTYPE) message.dtype = dtypeOf(reader.int32());
    else if (field === TENSOR_DIMENSION) message.shape.push(reader.uint32());
    else if (field === TENSOR_SHAPE) {
      const shapeEnd = endOfField(reader);
      while (reader.pos < shapeEnd) message.shape.push(reader.uint32());
    } else if (field === TENSOR_DATA) message.data = viewOf(reader.bytes());
    else return false;
    return true;
  });
  return message;
}

function dtypeOf(value: number): DType {
  if (value === DType.D_TYPE_FLOAT32 || value === DType.D_TYPE_BFLOAT16) return value;
  return value === 0 ? DType.D_TYPE_UNSPECIFIED : DType.UNRECOGNIZED;
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function endOfField(reader: BinaryReader): number {
  const length = reader.uint32();
  return reader.pos + length;
}

/**
 * Reads fields up to `end`; skips those for which `read` returns false because it does not know
 * them.
 */
function readFields(reader: BinaryReader, end: number, read: (tag: number) => boolean): void {
  while (reader.pos < end) {
    const field = reader.uint32();
    if (read(field)) continue;
    const wireType = field & 7;
    if (wireType === WireType.EndGroup || field === 0) return;
    reader.skip(wireType);
  }
  if (reader.pos > reader.len) throw new RangeError('premature end of message');
}
