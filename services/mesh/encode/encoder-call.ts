import type { Client } from 'nice-grpc';
import { MeshError } from '#mesh/errors.ts';
import { DType } from '#protos/autoglm/common/v1/tensor.ts';
import {
  type EncodeDone,
  EncodeHeader,
  type EncodePlan,
  type EncodeRequest,
  type EncodeResponse,
  type EncodeRows,
} from '#protos/autoglm/encoder/v1/encoder.ts';
import type { encoderServiceDefinition } from './encode-response-codec.ts';
import { MAX_CHUNK_BYTES } from './upload-limits.ts';

export type EncoderStub = Client<typeof encoderServiceDefinition>;

/** A media item to encode. */
export interface OutgoingItem {
  /** The known parts of the header; a recording in progress has no hash and no size. */
  readonly header: Partial<EncodeHeader>;
  /** The bytes of the item: all of them, or as they come. */
  readonly content: Uint8Array | AsyncIterable<Uint8Array>;
}

/** The rows that the caller's model takes. */
export interface ExpectedRows {
  readonly hiddenSize: number;
}

/** Consecutive embedding rows whose shape and length have been checked. */
export interface ReceivedRows {
  readonly firstRow: number;
  readonly numRows: number;
  readonly dtype: 'float32' | 'bfloat16';
  /** `[numRows, hidden_size]` of `dtype`, little-endian; a view of the received message. */
  readonly data: Buffer;
}

/** The events of a call: `plan`, then `rows` in order without gaps, then `done`. */
export type EncodeEvent =
  | { readonly kind: 'plan'; readonly plan: EncodePlan }
  | { readonly kind: 'rows'; readonly rows: ReceivedRows }
  | { readonly kind: 'done'; readonly done: EncodeDone };

const DTYPES = new Map<DType, { readonly name: ReceivedRows['dtype']; readonly bytes: number }>([
  [DType.D_TYPE_FLOAT32, { name: 'float32', bytes: 4 }],
  [DType.D_TYPE_BFLOAT16, { name: 'bfloat16', bytes: 2 }],
]);

/**
 * Encodes one item and checks all responses. A response that breaks the contract is refused with
 * ENGINE_FAILED, so that no row of it is used.
 */
export async function* encodeItem(
  client: EncoderStub,
  item: OutgoingItem,
  options: ExpectedRows & { readonly signal: AbortSignal },
): AsyncGenerator<EncodeEvent> {
  const course = new EncodeCourse(options);
  for await (const response of client.encode(requestsOf(item), { signal: options.signal })) {
    yield course.accept(response);
  }
  course.end();
}

async function* requestsOf(item: OutgoingItem): AsyncGenerator<EncodeRequest> {
  yield { event: { $case: 'header', value: EncodeHeader.fromPartial(item.header) } };
  const pieces = item.content instanceof Uint8Array ? [item.content] : item.content;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; at += MAX_CHUNK_BYTES) {
      const end = Math.min(at + MAX_CHUNK_BYTES, piece.length);
      const value = Buffer.from(piece.buffer, piece.byteOffset + at, end - at);
      yield { event: { $case: 'chunk', value } };
    }
  }
}

/** Follows one call from its plan to its end. */
class EncodeCourse {
  readonly #expected: ExpectedRows;
  #plan: EncodePlan | undefined;
  #nextRow = 0;
  #isDone = false;

  constructor(expected: ExpectedRows) {
    this.#expected = expected;
  }

  accept({ event }: EncodeResponse): EncodeEvent {
    if (event === undefined) throw brokenContract('a message without an event');
    if (this.#isDone) throw brokenContract(`"${event.$case}" after "done"`);
    switch (event.$case) {
      case 'plan':
        if (this.#plan !== undefined) throw brokenContract('a second plan');
        this.#plan = event.value;
        return { kind: 'plan', plan: event.value };
      case 'rows':
        return { kind: 'rows', rows: this.#acceptRows(event.value) };
      case 'done':
        this.#refuseMissingRows('before "done"');
        this.#isDone = true;
        return { kind: 'done', done: event.value };
    }
  }

  end(): void {
    if (!this.#isDone) throw brokenContract('the stream ended before "done"');
  }

  #acceptRows({ firstRow, rows }: EncodeRows): ReceivedRows {
    if (this.#plan === undefined) throw brokenContract('rows before the plan');
    if (firstRow !== this.#nextRow)
      throw brokenContract(`row ${firstRow} where ${this.#nextRow} was due`);
    const dtype = DTYPES.get(rows?.dtype ?? DType.D_TYPE_UNSPECIFIED);
    if (rows === undefined || dtype === undefined)
      throw brokenContract(`rows of dtype ${rows?.dtype}`);
    const [numRows = 0, width] = rows.shape;
    if (rows.shape.length !== 2 || numRows === 0 || width !== this.#expected.hiddenSize) {
      throw brokenContract(
        `rows of shape [${rows.shape}], expected [n, ${this.#expected.hiddenSize}]`,
      );
    }
    const bytes = numRows * width * dtype.bytes;
    if (rows.data.length !== bytes) {
      throw brokenContract(
        `${rows.data.length} bytes for ${dtype.name} [${rows.shape}], which has ${bytes}`,
      );
    }
    this.#nextRow += numRows;
    if (this.#nextRow > this.#plan.numRows) {
      throw brokenContract(`${this.#nextRow} rows where the plan says ${this.#plan.numRows}`);
    }
    return { firstRow, numRows, dtype: dtype.name, data: rows.data };
  }

  #refuseMissingRows(when: string): void {
    const planned = this.#plan?.numRows;
    if (planned === undefined) throw brokenContract(`no plan ${when}`);
    if (this.#nextRow !== planned)
      throw brokenContract(`${this.#nextRow} of ${planned} rows ${when}`);
  }
}

/** Returns the failure of an encoder that broke the contract of Encode. */
export function brokenContract(what: string): MeshError {
  return new MeshError('ENGINE_FAILED', `the encoder broke the Encode contract: ${what}`);
}
