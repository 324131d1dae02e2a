import type { Embedding } from '#backbone/engine/row-source.ts';
import {
  brokenContract,
  type EncoderStub,
  encodeItem,
  type RowTransport,
  UnreadableRowsError,
} from '#mesh/encode/encoder-call.ts';
import type { RowLease } from '#mesh/encode/row-pool.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import type { EncodeDone, EncodePlan } from '#protos/autoglm/encoder/v1/encoder.ts';
import type { ExpectedModel } from './encoder-peer.ts';
import type { EncodableItem, ItemShape } from './media-item.ts';
import type { RowReader } from './row-reader.ts';

/** The cancellation and the plan of one stream, for its caller. */
export interface EncodeProgress {
  readonly signal: AbortSignal;
  /** Called before any row is received; an error it throws ends the stream. */
  readonly onPlan: (shape: ItemShape) => void;
}

/** Rows of an item, and whether the encoder had them in its cache. */
export interface GatheredEmbedding {
  readonly embedding: Embedding;
  readonly cacheHit: boolean;
  readonly transport: RowTransport;
  /** What the encoder tells of its stages. */
  readonly done: EncodeDone | undefined;
}

export interface GatherOptions extends EncodeProgress {
  readonly expected: ExpectedModel;
  /** Reads rows out of the encoder's memory; undefined if this process cannot. */
  readonly reader: RowReader | undefined;
  readonly log: Log;
  /** Metadata of the call; undefined: none. */
  readonly headers: Readonly<Record<string, string>> | undefined;
}

/**
 * Sends an item to an encoder and gathers its rows. If rows that the encoder shares cannot be mapped,
 * the encoder is asked again and sends them in messages, as all that it sends from then on.
 */
export async function gatherEmbedding(
  stub: EncoderStub,
  item: EncodableItem,
  options: GatherOptions,
): Promise<GatheredEmbedding> {
  const { reader, log } = options;
  if (reader?.isUsable !== true) return gather(stub, item, options, undefined);
  try {
    return await gather(stub, item, options, reader);
  } catch (error: unknown) {
    if (!(error instanceof UnreadableRowsError)) throw error;
    if (reader.isUsable) log.warn(`${error.message}; the encoder sends them in messages now`);
    reader.giveUp();
    return gather(stub, item, options, undefined);
  }
}

async function gather(
  stub: EncoderStub,
  item: EncodableItem,
  { signal, onPlan, expected, headers }: GatherOptions,
  sharing: RowReader | undefined,
): Promise<GatheredEmbedding> {
  const { requestId, mediaType, contentHash, options: preprocessing, sizeBytes, cacheSalt } = item;
  const header = {
    requestId,
    mediaType,
    contentHash,
    options: preprocessing,
    expectedFingerprint: expected.fingerprint,
    sizeBytes: BigInt(sizeBytes),
    cacheSalt,
    clientId: item.client,
  };
  const content = piecesOf(item.chunks);
  const { hiddenSize } = expected;
  const parts: Buffer[] = [];
  const dtypes = new Set<Embedding['dtype']>();
  let lease: RowLease | undefined;
  let [numRows, cacheHit] = [0, false];
  let transport: RowTransport = 'message';
  let done: EncodeDone | undefined;
  try {
    const call = encodeItem(stub, { header, content }, { hiddenSize, signal, sharing, headers });
    for await (const event of call) {
      if (event.kind === 'plan') {
        ({ numRows, cacheHit } = event.plan);
        onPlan(shapeOf(event.plan, item));
      } else if (event.kind === 'rows') {
        parts.push(event.rows.data);
        dtypes.add(event.rows.dtype);
        ({ transport } = event.rows);
      } else if (event.kind === 'device rows') {
        ({ lease } = event);
        transport = 'device_memory';
      } else ({ done } = event);
    }
  } catch (error: unknown) {
    lease?.release();
    throw asReplaced(error);
  }
  if (lease !== undefined) {
    return { embedding: { numRows, dtype: 'float32', lease }, cacheHit, transport, done };
  }
  const [dtype = 'float32', other] = dtypes;
  if (other !== undefined) throw brokenContract(`rows of ${dtype} and of ${other} in one item`);
  const [rows = Buffer.alloc(0), ...more] = parts;
  // Shared rows come in one part, which is not copied.
  const all = more.length === 0 ? rows : Buffer.concat(parts);
  return { embedding: { numRows, dtype, rows: all }, cacheHit, transport, done };
}

async function* piecesOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

function shapeOf(
  { numRows, grid, durationMs, contentHash }: EncodePlan,
  item: EncodableItem,
): ItemShape {
  if (!contentHash.equals(item.contentHash)) throw brokenContract('a plan for other content');
  if (numRows === 0 || grid === undefined) throw brokenContract('a plan without rows or grid');
  const { t, h, w } = grid;
  return { numRows, durationMs, grid: { t, h, w } };
}

/**
 * Turns MODEL_NOT_FOUND into NO_READY_ENDPOINT: an encoder of another checkpoint has taken the
 * address, so the one we need is away.
 */
function asReplaced(error: unknown): unknown {
  if (!(error instanceof MeshError) || error.reason !== 'MODEL_NOT_FOUND') return error;
  return new MeshError('NO_READY_ENDPOINT', error.message, { cause: error });
}
