import type { Embedding } from '#backbone/engine/row-source.ts';
import { brokenContract, type EncoderStub, encodeItem } from '#mesh/encode/encoder-call.ts';
import { MeshError } from '#mesh/errors.ts';
import type { EncodePlan } from '#protos/autoglm/encoder/v1/encoder.ts';
import type { ExpectedModel } from './encoder-peer.ts';
import type { EncodableItem, ItemShape } from './media-item.ts';

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
}

/** Sends an item to an encoder and gathers its rows. */
export async function gatherEmbedding(
  stub: EncoderStub,
  item: EncodableItem,
  options: EncodeProgress & { readonly expected: ExpectedModel },
): Promise<GatheredEmbedding> {
  const { signal, onPlan, expected } = options;
  const { requestId, mediaType, contentHash, options: preprocessing, sizeBytes } = item;
  const header = {
    requestId,
    mediaType,
    contentHash,
    options: preprocessing,
    expectedFingerprint: expected.fingerprint,
    sizeBytes: BigInt(sizeBytes),
  };
  const content = piecesOf(item.chunks);
  const { hiddenSize } = expected;
  const parts: Buffer[] = [];
  const dtypes = new Set<Embedding['dtype']>();
  let [numRows, cacheHit] = [0, false];
  try {
    for await (const event of encodeItem(stub, { header, content }, { hiddenSize, signal })) {
      if (event.kind === 'plan') {
        ({ numRows, cacheHit } = event.plan);
        onPlan(shapeOf(event.plan, item));
      } else if (event.kind === 'rows') {
        parts.push(event.rows.data);
        dtypes.add(event.rows.dtype);
      }
    }
  } catch (error: unknown) {
    throw asReplaced(error);
  }
  const [dtype = 'float32', other] = dtypes;
  if (other !== undefined) throw brokenContract(`rows of ${dtype} and of ${other} in one item`);
  return { embedding: { numRows, dtype, rows: Buffer.concat(parts) }, cacheHit };
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
