import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { isRecord } from '#mesh/json-value.ts';

/** A message of OTLP in its JSON form: ids in hex, times in nanoseconds as text. */
export type OtlpMessage = Readonly<Record<string, unknown>>;

type FieldType = 'string' | 'hex' | 'int' | 'fixed64' | 'double' | 'bool' | MessageType;

interface Field {
  readonly name: string;
  readonly type: FieldType;
  readonly isList?: boolean;
}

/** The fields of a message by their numbers; others are skipped. */
type MessageType = ReadonlyMap<number, Field>;

const message = (fields: readonly (readonly [number, Field])[]): MessageType => new Map(fields);
const list = (name: string, type: FieldType): Field => ({ name, type, isList: true });

// opentelemetry/proto/{common,resource,trace,metrics}/v1 and collector/{trace,metrics}/v1, as far as
// what is sent here goes.
const anyValue: Map<number, Field> = new Map([
  [1, { name: 'stringValue', type: 'string' }],
  [2, { name: 'boolValue', type: 'bool' }],
  [3, { name: 'intValue', type: 'int' }],
  [4, { name: 'doubleValue', type: 'double' }],
]);
anyValue.set(5, { name: 'arrayValue', type: message([[1, list('values', anyValue)]]) });
const keyValue = message([
  [1, { name: 'key', type: 'string' }],
  [2, { name: 'value', type: anyValue }],
]);
const span = message([
  [1, { name: 'traceId', type: 'hex' }],
  [2, { name: 'spanId', type: 'hex' }],
  [3, { name: 'traceState', type: 'string' }],
  [4, { name: 'parentSpanId', type: 'hex' }],
  [5, { name: 'name', type: 'string' }],
  [6, { name: 'kind', type: 'int' }],
  [7, { name: 'startTimeUnixNano', type: 'fixed64' }],
  [8, { name: 'endTimeUnixNano', type: 'fixed64' }],
  [9, list('attributes', keyValue)],
  [11, list('events', message([[2, { name: 'name', type: 'string' }]]))],
  [
    13,
    list(
      'links',
      message([
        [1, { name: 'traceId', type: 'hex' }],
        [2, { name: 'spanId', type: 'hex' }],
      ]),
    ),
  ],
  [
    15,
    {
      name: 'status',
      type: message([
        [2, { name: 'message', type: 'string' }],
        [3, { name: 'code', type: 'int' }],
      ]),
    },
  ],
]);
const scope = message([
  [1, { name: 'name', type: 'string' }],
  [2, { name: 'version', type: 'string' }],
]);
const resource: Field = { name: 'resource', type: message([[1, list('attributes', keyValue)]]) };
const tracesRequest = message([
  [
    1,
    list(
      'resourceSpans',
      message([
        [1, resource],
        [
          2,
          list(
            'scopeSpans',
            message([
              [1, { name: 'scope', type: scope }],
              [2, list('spans', span)],
            ]),
          ),
        ],
      ]),
    ),
  ],
]);

const START: Field = { name: 'startTimeUnixNano', type: 'fixed64' };
const END: Field = { name: 'timeUnixNano', type: 'fixed64' };
const numbers = list(
  'dataPoints',
  message([
    [2, START],
    [3, END],
    [4, { name: 'asDouble', type: 'double' }],
    [7, list('attributes', keyValue)],
  ]),
);
const histograms = list(
  'dataPoints',
  message([
    [2, START],
    [3, END],
    [4, { name: 'count', type: 'fixed64' }],
    [5, { name: 'sum', type: 'double' }],
    [6, list('bucketCounts', 'fixed64')],
    [7, list('explicitBounds', 'double')],
    [9, list('attributes', keyValue)],
  ]),
);
const TEMPORALITY: Field = { name: 'aggregationTemporality', type: 'int' };
const metric = message([
  [1, { name: 'name', type: 'string' }],
  [2, { name: 'description', type: 'string' }],
  [3, { name: 'unit', type: 'string' }],
  [5, { name: 'gauge', type: message([[1, numbers]]) }],
  [
    7,
    {
      name: 'sum',
      type: message([
        [1, numbers],
        [2, TEMPORALITY],
        [3, { name: 'isMonotonic', type: 'bool' }],
      ]),
    },
  ],
  [
    9,
    {
      name: 'histogram',
      type: message([
        [1, histograms],
        [2, TEMPORALITY],
      ]),
    },
  ],
]);
const metricsRequest = message([
  [
    1,
    list(
      'resourceMetrics',
      message([
        [1, resource],
        [2, list('scopeMetrics', message([[2, list('metrics', metric)]]))],
      ]),
    ),
  ],
]);

/** What a collector is sent, and the message that it comes in. */
const REQUESTS = { traces: tracesRequest, metrics: metricsRequest } as const;

export type OtlpSignal = keyof typeof REQUESTS;

/** Reads an ExportTraceServiceRequest or an ExportMetricsServiceRequest. */
export function readExportRequest(bytes: Uint8Array, signal: OtlpSignal): OtlpMessage {
  return readMessage(new BinaryReader(bytes), bytes.length, REQUESTS[signal]);
}

function readMessage(reader: BinaryReader, end: number, type: MessageType): OtlpMessage {
  const read: Record<string, unknown> = {};
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = type.get(number);
    if (field === undefined) {
      reader.skip(wireType, number);
      continue;
    }
    if (field.isList) {
      const before = read[field.name];
      const values = readValues(reader, field.type, wireType);
      read[field.name] = [...(Array.isArray(before) ? before : []), ...values];
    } else read[field.name] = readValue(reader, field.type, wireType);
  }
  return read;
}

/** Reads one value of a list, or all of them if they are numbers, which come packed. */
function readValues(reader: BinaryReader, type: FieldType, wireType: WireType): unknown[] {
  const isPacked =
    (type === 'fixed64' || type === 'double') && wireType === WireType.LengthDelimited;
  if (!isPacked) return [readValue(reader, type, wireType)];
  const length = reader.uint32();
  const end = reader.pos + length;
  const values: unknown[] = [];
  while (reader.pos < end) values.push(readValue(reader, type, WireType.Bit64));
  return values;
}

function readValue(reader: BinaryReader, type: FieldType, wireType: WireType): unknown {
  if (typeof type !== 'string') {
    const length = reader.uint32();
    return readMessage(reader, reader.pos + length, type);
  }
  switch (type) {
    case 'string':
      return reader.string();
    case 'hex':
      return Buffer.from(reader.bytes()).toString('hex');
    case 'int':
      return Number(reader.int64());
    case 'bool':
      return reader.bool();
    case 'double':
      return reader.double();
    case 'fixed64':
      if (wireType !== WireType.Bit64) throw new TypeError(`a time of wire type ${wireType}`);
      return String(reader.fixed64());
  }
}

/** Returns the attributes of a message by their names. */
export function attributesIn(holder: OtlpMessage): Record<string, unknown> {
  return Object.fromEntries(
    listIn(holder, 'attributes').map((one) => [
      String(one['key']),
      contentOf(recordIn(one, 'value')),
    ]),
  );
}

function contentOf(value: OtlpMessage): unknown {
  const [[kind, content] = []] = Object.entries(value);
  if (kind !== 'arrayValue') return content;
  return isRecord(content) ? listIn(content, 'values').map(contentOf) : [];
}

/** Returns a message in a field; an empty one if there is none. */
export function recordIn(holder: OtlpMessage, name: string): OtlpMessage {
  const value = holder[name];
  return isRecord(value) ? value : {};
}

/** Returns the messages in a field of many. */
export function listIn(holder: OtlpMessage, name: string): OtlpMessage[] {
  const value = holder[name];
  return Array.isArray(value) ? value.filter(isRecord) : [];
}
