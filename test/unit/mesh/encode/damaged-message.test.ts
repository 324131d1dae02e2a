import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EncodeResponseCodec } from '#mesh/encode/encode-response-codec.ts';
import { DType } from '#protos/autoglm/common/v1/tensor.ts';
import { EncodeResponse } from '#protos/autoglm/encoder/v1/encoder.ts';
import { checkMutants, type Specimen } from '#test/mutations.ts';

const KNOWN_DTYPES: readonly number[] = [
  DType.D_TYPE_UNSPECIFIED,
  DType.D_TYPE_FLOAT32,
  DType.D_TYPE_BFLOAT16,
];

/** Decodes with the generated codec; names an unknown dtype as the mesh's codec does. */
function generated(bytes: Buffer): EncodeResponse {
  const message = EncodeResponse.decode(bytes);
  const tensor = message.event?.$case === 'rows' ? message.event.value.rows : undefined;
  if (tensor !== undefined && !KNOWN_DTYPES.includes(tensor.dtype)) {
    tensor.dtype = DType.UNRECOGNIZED;
  }
  return message;
}

/** Returns a decoded message, or undefined if it is refused. */
function outcomeOf(decode: (bytes: Buffer) => EncodeResponse, bytes: Buffer) {
  try {
    return decode(bytes);
  } catch (error: unknown) {
    assert(error instanceof Error);
    return undefined;
  }
}

type Event = Parameters<typeof EncodeResponse.fromPartial>[0]['event'];

function specimen(name: string, event: Event, marks: readonly number[] = []): Specimen {
  const bytes = Buffer.from(EncodeResponse.encode(EncodeResponse.fromPartial({ event })).finish());
  const numHead = Math.min(24, bytes.length);
  const fields = Array.from({ length: numHead }, (_, at) => ({ at, numBytes: 1 }));
  return { name, bytes, marks, fields };
}

const rows = { dtype: DType.D_TYPE_BFLOAT16, shape: [3, 70_000], data: Buffer.alloc(24, 5) };
const SPECIMENS: readonly Specimen[] = [
  specimen('plan', {
    $case: 'plan',
    value: { numRows: 72, grid: { t: 1, h: 24, w: 12 }, contentHash: Buffer.alloc(32, 7) },
  }),
  specimen('done', { $case: 'done', value: { encodeUs: 900n } }),
  specimen('rows', { $case: 'rows', value: { firstRow: 300, rows } }, [2, 5, 7, 9, 15, 17]),
  specimen('rows without a tensor', { $case: 'rows', value: { firstRow: 300 } }),
];

describe('a damaged EncodeResponse', () => {
  it('is read as the generated codec reads it, or refused by both', async () => {
    const outcomes = { numRead: 0, numRefused: 0 };

    await checkMutants(SPECIMENS, 4000, (bytes) => {
      const ours = outcomeOf((one) => EncodeResponseCodec.decode(one), bytes);
      const theirs = outcomeOf(generated, bytes);

      assert.deepEqual(ours, theirs, bytes.toString('hex'));
      if (theirs === undefined) outcomes.numRefused += 1;
      else outcomes.numRead += 1;
    });

    assert(outcomes.numRead > 0 && outcomes.numRefused > 0, JSON.stringify(outcomes));
  });
});
