import type { Channel } from 'nice-grpc';
import type { Embedding } from '#backbone/engine/row-source.ts';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import { type EncoderStub, encodeItem } from '#mesh/encode/encoder-call.ts';
import { MeshError } from '#mesh/errors.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { watchHealth } from '#mesh/grpc/health-watch.ts';
import type { Log } from '#mesh/log/log.ts';
import { type MediaModality, WIRE_MODALITIES } from '#mesh/modality.ts';
import type { EncodePlan, GetModelResponse } from '#protos/autoglm/encoder/v1/encoder.ts';
import type { ItemShape, MediaItem } from './media-item.ts';

/** The checkpoint an encoder must belong to. */
export interface ExpectedModel {
  readonly modelId: string;
  readonly fingerprint: string;
  /** Width of an embedding row. */
  readonly hiddenSize: number;
}

/** What of one stream its caller follows. */
export interface EncodeProgress {
  readonly signal: AbortSignal;
  /** Called before any row is; what it throws ends the stream. */
  readonly onPlan: (shape: ItemShape) => void;
}

/** Rows of an item, and whether the encoder had them already. */
export interface EncodedItem {
  readonly embedding: Embedding;
  readonly cacheHit: boolean;
}

type Condition =
  | { readonly kind: 'away' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'mismatched'; readonly why: string };

/** One encoder address: whether it is ready and of our checkpoint, and streams to it. */
export class EncoderEndpoint {
  readonly address: string;
  readonly modality: MediaModality;
  readonly #expected: ExpectedModel;
  readonly #log: Log;
  readonly #channel: Channel;
  readonly #stub: EncoderStub;
  readonly #closing = new AbortController();
  readonly #watching: Promise<void>;
  #condition: Condition = { kind: 'away' };

  constructor(
    address: string,
    facts: {
      readonly modality: MediaModality;
      readonly expected: ExpectedModel;
      readonly log: Log;
    },
  ) {
    this.address = address;
    this.modality = facts.modality;
    this.#expected = facts.expected;
    this.#log = facts.log;
    this.#channel = openChannel(address, 'tensors');
    this.#stub = createMeshClient(encoderServiceDefinition, this.#channel);
    this.#watching = watchHealth(this.#channel, {
      onHealth: async (isServing) => this.#enter(await this.#conditionOf(isServing)),
      onBroken: (err) => this.#log.debug({ err, address }, 'encoder health watch ended'),
      signal: this.#closing.signal,
    });
  }

  get isReady(): boolean {
    return this.#condition.kind === 'ready';
  }

  /** Why a running encoder is not used, if so. */
  get mismatch(): string | undefined {
    return this.#condition.kind === 'mismatched' ? this.#condition.why : undefined;
  }

  /** Sends an item and gathers its rows. */
  async encode(item: MediaItem, { signal, onPlan }: EncodeProgress): Promise<EncodedItem> {
    const { hiddenSize, fingerprint } = this.#expected;
    const { mediaType, contentHash, options, sizeBytes } = item;
    const header = {
      mediaType,
      contentHash,
      options,
      expectedFingerprint: fingerprint,
      sizeBytes: BigInt(sizeBytes),
    };
    const content = piecesOf(item.chunks);
    const parts: Buffer[] = [];
    const dtypes = new Set<Embedding['dtype']>();
    let [numRows, cacheHit] = [0, false];
    try {
      for await (const event of encodeItem(
        this.#stub,
        { header, content },
        { hiddenSize, signal },
      )) {
        if (event.kind === 'plan') {
          ({ numRows, cacheHit } = event.plan);
          onPlan(shapeOf(event.plan, item));
        } else if (event.kind === 'rows') {
          parts.push(event.rows.data);
          dtypes.add(event.rows.dtype);
        }
      }
    } catch (error: unknown) {
      throw asAbsence(error, signal);
    }
    const [dtype = 'float32', other] = dtypes;
    if (other !== undefined) throw broken(`rows of ${dtype} and of ${other} in one item`);
    return { embedding: { numRows, dtype, rows: Buffer.concat(parts) }, cacheHit };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#watching;
    this.#channel.close();
  }

  async #conditionOf(isServing: boolean): Promise<Condition> {
    if (!isServing) return { kind: 'away' };
    const { signal } = this.#closing;
    const why = mismatchOf(
      await this.#stub.getModel({}, { signal }),
      this.#expected,
      this.modality,
    );
    return why === undefined ? { kind: 'ready' } : { kind: 'mismatched', why };
  }

  #enter(condition: Condition): void {
    const previous = this.#condition.kind;
    this.#condition = condition;
    if (previous === condition.kind || this.#closing.signal.aborted) return;
    const name = `${this.modality} encoder ${this.address}`;
    if (condition.kind === 'ready') this.#log.info(`${name} is ready`);
    else if (condition.kind === 'away') this.#log.warn(`${name} is not ready`);
    else this.#log.error(`${name} is refused: ${condition.why}`);
  }
}

async function* piecesOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** Why rows of this encoder would mean nothing to our decoder, if so. */
function mismatchOf(
  encoder: GetModelResponse,
  expected: ExpectedModel,
  modality: MediaModality,
): string | undefined {
  if (encoder.modality !== WIRE_MODALITIES[modality]) return `it does not encode ${modality}`;
  if (encoder.fingerprint !== expected.fingerprint) {
    return `it runs ${encoder.modelId} with weights ${encoder.fingerprint}; this backbone runs ${expected.modelId} with weights ${expected.fingerprint}`;
  }
  if (encoder.hiddenSize === expected.hiddenSize) return undefined;
  return `its rows have ${encoder.hiddenSize} values; this backbone takes ${expected.hiddenSize}`;
}

function shapeOf(
  { numRows, grid, durationMs, contentHash }: EncodePlan,
  item: MediaItem,
): ItemShape {
  if (!contentHash.equals(item.contentHash)) throw broken('a plan for other content');
  if (numRows === 0 || grid === undefined) throw broken('a plan without rows or grid');
  const { t, h, w } = grid;
  return { numRows, durationMs, grid: { t, h, w } };
}

/** What means that this encoder is not there for us, though its status says something else. */
function asAbsence(error: unknown, signal: AbortSignal): unknown {
  if (!(error instanceof MeshError) || signal.aborted) return error;
  // It names another checkpoint than ours: it has been replaced.
  const isReplaced = error.reason === 'MODEL_NOT_FOUND';
  // We cancelled nothing: it ended the call, as a server does that is shut down.
  const isCutOff = error.reason === 'CANCELLED';
  if (!isReplaced && !isCutOff) return error;
  const message = isCutOff ? 'it ended the call' : error.message;
  return new MeshError('NO_READY_ENDPOINT', message, { cause: error });
}

function broken(what: string): MeshError {
  return new MeshError('ENGINE_FAILED', `the encoder broke the Encode contract: ${what}`);
}
