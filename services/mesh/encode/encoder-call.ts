import type { Client } from 'nice-grpc';
import { Metadata } from 'nice-grpc-common';
import { withResolvers } from '#mesh/async/with-resolvers.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import type { DeviceMemory } from '#protos/autoglm/common/v1/device_memory.ts';
import type { SharedMemory } from '#protos/autoglm/common/v1/shared_memory.ts';
import { DType } from '#protos/autoglm/common/v1/tensor.ts';
import {
  type DeviceRows,
  type EncodeDone,
  EncodeHeader,
  type EncodePlan,
  type EncodeRequest,
  type EncodeResponse,
  type EncodeRows,
  type SharedRows,
} from '#protos/autoglm/encoder/v1/encoder.ts';
import type { encoderServiceDefinition } from './encode-response-codec.ts';
import type { RowLease } from './row-pool.ts';
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

/** Reads rows that an encoder of this host keeps in shared memory. */
export interface SharedRowsReader {
  /** The encoder's secret, which shows it that its memory can be read. */
  readonly secret: Buffer;
  /** Maps memory of the encoder; throws if that is not possible. */
  map(memory: SharedMemory): Buffer;
  /** What copies rows out of the encoder's GPU; undefined: nothing does. */
  readonly device?: DeviceRowsReader | undefined;
}

/** Rows in memory of an encoder's GPU, whose shape has been checked. */
export interface OfferedRows {
  readonly memory: DeviceMemory;
  readonly offsetBytes: number;
  readonly numBytes: number;
}

/** Copies rows from memory of an encoder's GPU to that of the caller's GPUs. */
export interface DeviceRowsReader {
  /** Names of the GPUs whose memory can be opened; empty if rows had better come otherwise. */
  readonly devices: readonly string[];
  /** Returns where the rows are when they have come; undefined if they must come by another way. */
  readonly copy: (offer: OfferedRows) => Promise<RowLease | undefined>;
}

/**
 * The way that rows took: through the channel, through memory that both processes map, or from GPU to
 * GPU.
 */
export type RowTransport = 'message' | 'shared_memory' | 'device_memory';

/** Consecutive embedding rows whose shape and length have been checked. */
export interface ReceivedRows {
  readonly firstRow: number;
  readonly numRows: number;
  readonly dtype: 'float32' | 'bfloat16';
  /**
   * `[numRows, hidden_size]` of `dtype`, little-endian; a view of the received message or of the
   * encoder's memory.
   */
  readonly data: Buffer;
  readonly transport: RowTransport;
}

/** The events of a call: `plan`, then `rows` in order without gaps or once `device rows`, then `done`. */
export type EncodeEvent =
  | { readonly kind: 'plan'; readonly plan: EncodePlan }
  | { readonly kind: 'rows'; readonly rows: ReceivedRows }
  | {
      /** All rows, float32, are in the caller's row pool, at a place that whoever gets this holds. */
      readonly kind: 'device rows';
      readonly lease: RowLease;
    }
  | { readonly kind: 'done'; readonly done: EncodeDone };

const DTYPES = new Map<DType, { readonly name: ReceivedRows['dtype']; readonly bytes: number }>([
  [DType.D_TYPE_FLOAT32, { name: 'float32', bytes: 4 }],
  [DType.D_TYPE_BFLOAT16, { name: 'bfloat16', bytes: 2 }],
]);

/**
 * Encodes one item and checks all responses. A response that breaks the contract is refused with
 * ENGINE_FAILED, so that no row of it is used. With `sharing`, rows may come through shared memory;
 * an `UnreadableRowsError` then says that the call has to be made again without it.
 */
export async function* encodeItem(
  client: EncoderStub,
  item: OutgoingItem,
  options: ExpectedRows & {
    readonly signal: AbortSignal;
    readonly sharing?: SharedRowsReader | undefined;
    /** Metadata of the call; unset: none. */
    readonly headers?: Readonly<Record<string, string>> | undefined;
  },
): AsyncGenerator<EncodeEvent> {
  const course = new EncodeCourse(options);
  const requests =
    options.sharing === undefined ? requestsOf(item) : sharingRequestsOf(item, course);
  try {
    const { signal, headers } = options;
    const metadata = headers && Metadata(headers);
    for await (const response of client.encode(requests, {
      signal,
      ...(metadata && { metadata }),
    })) {
      const event = await course.accept(response);
      if (event !== undefined) yield event;
    }
    course.end();
  } finally {
    course.leave();
  }
}

/**
 * The requests of a call that may get rows in memory of the encoder, which stays until half-close. Rows
 * that are there before the item is sent make the rest of it superfluous.
 */
async function* sharingRequestsOf(
  item: OutgoingItem,
  course: EncodeCourse,
): AsyncGenerator<EncodeRequest> {
  const header = {
    ...item.header,
    sharedMemorySecret: course.secret,
    reachableDevices: [...course.devices],
  };
  for await (const request of requestsOf({ ...item, header })) {
    yield request;
    if (course.isTaken) return;
    if (course.hasRefused) break;
  }
  yield { event: { $case: 'contentEnd', value: {} } };
  if ((await course.decided) === 'refused') {
    yield { event: { $case: 'deviceRowsRefusal', value: {} } };
  }
  await course.taken;
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

/** Rows of a response whose type and shape have been checked. */
interface CheckedShape {
  readonly numRows: number;
  readonly dtype: 'float32' | 'bfloat16';
  readonly numBytes: number;
}

/** Follows one call from its plan to its end. */
class EncodeCourse {
  readonly #expected: ExpectedRows;
  readonly #sharing: SharedRowsReader | undefined;
  readonly #taken = withResolvers<void>();
  readonly #decided = withResolvers<'taken' | 'refused'>();
  #isTaken = false;
  #hasRefused = false;
  #plan: EncodePlan | undefined;
  #nextRow = 0;
  #isDone = false;

  constructor(options: ExpectedRows & { readonly sharing?: SharedRowsReader | undefined }) {
    this.#expected = options;
    this.#sharing = options.sharing;
  }

  /** The encoder's secret; empty if no rows are shared. */
  get secret(): Buffer {
    return this.#sharing?.secret ?? Buffer.alloc(0);
  }

  /** Names of the GPUs whose memory can be opened. */
  get devices(): readonly string[] {
    return this.#sharing?.device?.devices ?? [];
  }

  /** Resolves when rows have been taken, or rows in memory of a GPU are asked for otherwise. */
  get decided(): Promise<'taken' | 'refused'> {
    return this.#decided.promise;
  }

  /** Resolves when the call needs nothing of the encoder's memory any more. */
  get taken(): Promise<void> {
    return this.#taken.promise;
  }

  get isTaken(): boolean {
    return this.#isTaken;
  }

  /** Tells whether rows that are there are asked for otherwise. */
  get hasRefused(): boolean {
    return this.#hasRefused;
  }

  /** Checks a response and returns its event, if it has one for the caller. */
  async accept({ event }: EncodeResponse): Promise<EncodeEvent | undefined> {
    if (event === undefined) throw brokenContract('a message without an event');
    if (this.#isDone) throw brokenContract(`"${event.$case}" after "done"`);
    switch (event.$case) {
      case 'plan':
        if (this.#plan !== undefined) throw brokenContract('a second plan');
        this.#plan = event.value;
        return { kind: 'plan', plan: event.value };
      case 'rows':
        return { kind: 'rows', rows: this.#acceptRows(event.value, 'message') };
      case 'sharedRows':
        return { kind: 'rows', rows: this.#acceptShared(event.value) };
      case 'deviceRows':
        return this.#acceptDevice(event.value);
      case 'done':
        this.#refuseMissingRows('before "done"');
        this.#isDone = true;
        return { kind: 'done', done: event.value };
    }
  }

  end(): void {
    if (!this.#isDone) throw brokenContract('the stream ended before "done"');
  }

  /** Notes that nothing is read out of the encoder's memory any more. */
  leave(): void {
    this.#isTaken = true;
    this.#decided.resolve('taken');
    this.#taken.resolve();
  }

  #acceptShared({ dtype, shape, memory }: SharedRows): ReceivedRows {
    if (this.#sharing === undefined) throw brokenContract('shared rows without a secret');
    if (memory === undefined) throw brokenContract('shared rows without their memory');
    const data = mapped(this.#sharing, memory);
    this.leave();
    return this.#acceptRows({ firstRow: 0, rows: { dtype, shape, data } }, 'shared_memory');
  }

  /** Copies rows from the encoder's GPU, or asks for them otherwise. */
  async #acceptDevice(rows: DeviceRows): Promise<EncodeEvent | undefined> {
    const { memory, offsetBytes } = rows;
    const device = this.#sharing?.device;
    if (device === undefined || this.#hasRefused) throw brokenContract('device rows unasked for');
    if (memory === undefined) throw brokenContract('device rows without their memory');
    const { numRows, dtype, numBytes } = this.#checkShape(0, rows);
    if (dtype !== 'float32') throw brokenContract(`device rows of ${dtype}`);
    const lease = await device.copy({ memory, offsetBytes: Number(offsetBytes), numBytes });
    if (lease === undefined) {
      this.#hasRefused = true;
      this.#decided.resolve('refused');
      return undefined;
    }
    this.leave();
    this.#nextRow = numRows;
    return { kind: 'device rows', lease };
  }

  #acceptRows({ firstRow, rows }: EncodeRows, transport: RowTransport): ReceivedRows {
    if (rows === undefined) throw brokenContract('rows of dtype undefined');
    const { numRows, dtype, numBytes } = this.#checkShape(firstRow, rows);
    if (rows.data.length !== numBytes) {
      throw brokenContract(
        `${rows.data.length} bytes for ${dtype} [${rows.shape}], which has ${numBytes}`,
      );
    }
    this.#nextRow += numRows;
    return { firstRow, numRows, dtype, data: rows.data, transport };
  }

  /** Refuses rows that are not the next ones, or of another type or shape than is expected. */
  #checkShape(firstRow: number, rows: Pick<DeviceRows, 'dtype' | 'shape'>): CheckedShape {
    if (this.#plan === undefined) throw brokenContract('rows before the plan');
    if (firstRow !== this.#nextRow)
      throw brokenContract(`row ${firstRow} where ${this.#nextRow} was due`);
    const dtype = DTYPES.get(rows.dtype);
    if (dtype === undefined) throw brokenContract(`rows of dtype ${rows.dtype}`);
    const [numRows = 0, width] = rows.shape;
    if (rows.shape.length !== 2 || numRows === 0 || width !== this.#expected.hiddenSize) {
      throw brokenContract(
        `rows of shape [${rows.shape}], expected [n, ${this.#expected.hiddenSize}]`,
      );
    }
    if (firstRow + numRows > this.#plan.numRows) {
      throw brokenContract(`${firstRow + numRows} rows where the plan says ${this.#plan.numRows}`);
    }
    return { numRows, dtype: dtype.name, numBytes: numRows * width * dtype.bytes };
  }

  #refuseMissingRows(when: string): void {
    const planned = this.#plan?.numRows;
    if (planned === undefined) throw brokenContract(`no plan ${when}`);
    if (this.#nextRow !== planned)
      throw brokenContract(`${this.#nextRow} of ${planned} rows ${when}`);
  }
}

function mapped(reader: SharedRowsReader, memory: SharedMemory): Buffer {
  try {
    return reader.map(memory);
  } catch (cause: unknown) {
    throw new UnreadableRowsError(errorMessage(cause), { cause });
  }
}

/** Says that rows are in memory of the encoder that this process cannot map. */
export class UnreadableRowsError extends MeshError {
  constructor(why: string, options: ErrorOptions) {
    super('ENGINE_FAILED', `the encoder's rows cannot be mapped: ${why}`, options);
  }
}

/** Returns the failure of an encoder that broke the contract of Encode. */
export function brokenContract(what: string): MeshError {
  return new MeshError('ENGINE_FAILED', `the encoder broke the Encode contract: ${what}`);
}
