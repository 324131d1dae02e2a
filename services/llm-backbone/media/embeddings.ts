import assert from 'node:assert/strict';
import { LRUCache } from 'lru-cache';
import { type Embedding, release } from '#backbone/engine/row-source.ts';
import { type PlannedWork, startPlanned } from '#mesh/async/planned-work.ts';
import { type Seat, SingleFlight } from '#mesh/async/single-flight.ts';
import { MeshError } from '#mesh/errors.ts';
import { ENCODER_NAMES, type MediaModality, WIRE_MODALITIES } from '#mesh/modality.ts';
import type { EncoderReadiness } from '#protos/autoglm/mesh/v1/instance.ts';
import type { EmbeddingCache } from './embedding-cache.ts';
import type { EncoderClient } from './encoder-client.ts';
import {
  type EncodableItem,
  type ItemShape,
  type MediaIdentity,
  mediaParam,
} from './media-item.ts';
import type { MediaMetrics } from './media-metrics.ts';

/** Shapes kept by item key, at about 300 bytes each; so they outnumber the embeddings kept. */
const NUM_REMEMBERED_SHAPES = 65_536;

/** One item on its way through an encoder; every request that wants the item watches it. */
export type Encoding = PlannedWork<ItemShape, Embedding>;

/** The part of an encoder client that embeddings need. */
export type ItemEncoder = Pick<EncoderClient, 'encode' | 'peers' | 'numReady' | 'close'>;

export interface EmbeddingsOptions {
  /** Clients for each modality that the checkpoint reads and an encoder is configured for. */
  readonly clients: ReadonlyMap<MediaModality, ItemEncoder>;
  /** Modalities the checkpoint reads. */
  readonly checkpointModalities: readonly MediaModality[];
  readonly modelId: string;
  readonly cache: EmbeddingCache;
  readonly metrics: MediaMetrics;
}

/** Knows the shapes and rows of media items, and asks the encoders for those it lacks. */
export class Embeddings {
  readonly #options: EmbeddingsOptions;
  readonly #shapes = new LRUCache<string, ItemShape>({ max: NUM_REMEMBERED_SHAPES });
  readonly #encodings = new SingleFlight<Encoding>({ onLeft: releaseRows });

  constructor(options: EmbeddingsOptions) {
    this.#options = options;
  }

  /** Returns how many encoders can be asked, by modality. */
  encoders(): EncoderReadiness[] {
    return [...this.#options.clients].map(([modality, { numReady, peers }]) => {
      const refusals = peers.flatMap(({ mismatch }) => mismatch ?? []);
      return {
        modality: WIRE_MODALITIES[modality],
        numReady,
        numKnown: peers.length,
        numRefused: refusals.length,
        refusal: refusals[0] ?? '',
      };
    });
  }

  /** Refuses a modality that the checkpoint lacks or that no encoder is configured for. */
  checkSupported(items: readonly MediaIdentity[]): void {
    const { clients, checkpointModalities, modelId } = this.#options;
    const index = items.findIndex(({ modality }) => !clients.has(modality));
    const modality = items[index]?.modality;
    if (modality === undefined) return;
    const name = ENCODER_NAMES[modality];
    const message = checkpointModalities.includes(modality)
      ? `no ${name} is configured, so ${modality} input is not accepted; set the key "${name.replace(' ', '-')}" of llm-backbone`
      : `the model ${modelId} does not take ${modality} input; send text only`;
    throw new MeshError('UNSUPPORTED_MEDIA', message, { param: mediaParam(index) });
  }

  /** Rows and grid of an item that was encoded before. */
  shapeOf({ key }: EncodableItem): ItemShape | undefined {
    return this.#shapes.get(key);
  }

  /** Returns the rows of an item if they are in the cache, which holds their memory. */
  find({ key }: EncodableItem): Embedding | undefined {
    const embedding = this.#options.cache.get(key);
    this.#options.metrics.lookedUp({ found: embedding !== undefined });
    return embedding;
  }

  /**
   * Encodes an item, or joins those who wait for it. Who gets the rows holds their memory at once, or
   * has none: a seat holds it no longer than it is taken.
   */
  encode(item: EncodableItem): Seat<Encoding> {
    return this.#encodings.joinOrStart(item.key, (signal) => this.#start(item, signal));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#options.clients.values()].map((client) => client.close()));
  }

  #start(item: EncodableItem, signal: AbortSignal): Encoding {
    return startPlanned(async (onPlanned) => {
      let shape = this.#shapes.get(item.key);
      const onPlan = (planned: ItemShape) => {
        if (shape !== undefined) this.#checkSame(item, shape, planned);
        shape = planned;
        onPlanned(planned);
      };
      const embedding = await this.#clientOf(item.modality).encode(item, { signal, onPlan });
      if (shape !== undefined) this.#shapes.set(item.key, shape);
      this.#options.cache.set(item.key, embedding);
      return embedding;
    });
  }

  /** Refuses another shape than prompts have been laid out by; later prompts ask for it afresh. */
  #checkSame({ key }: EncodableItem, known: ItemShape, planned: ItemShape): void {
    if (isSameShape(known, planned)) return;
    this.#shapes.delete(key);
    const [a, b] = [known, planned].map(
      ({ numRows, grid: { t, h, w } }) => `${numRows} rows of ${t}×${h}×${w}`,
    );
    throw new MeshError('ENGINE_FAILED', `the encoder plans ${b} where an encoder planned ${a}`);
  }

  #clientOf(modality: MediaModality): ItemEncoder {
    const client = this.#options.clients.get(modality);
    assert(client !== undefined, `${modality} items have been refused`);
    return client;
  }
}

/**
 * Gives up the rows of an encoding once everybody who waited for them has left, and all who are told
 * of them at this moment hold them.
 */
function releaseRows({ finished }: Encoding): void {
  finished.then(
    (embedding) => setImmediate(release, embedding),
    () => {},
  );
}

function isSameShape(a: ItemShape, b: ItemShape): boolean {
  const { grid: g } = a;
  return a.numRows === b.numRows && g.t === b.grid.t && g.h === b.grid.h && g.w === b.grid.w;
}
