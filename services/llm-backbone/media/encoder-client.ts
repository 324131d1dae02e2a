import type { Embedding } from '#backbone/engine/row-source.ts';
import { Semaphore } from '#mesh/async/semaphore.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { ENCODER_NAMES, type MediaModality } from '#mesh/modality.ts';
import { Attempts } from '#mesh/peers/attempts.ts';
import type { Membership } from '#mesh/peers/membership.ts';
import { Peer, type PeerOptions } from '#mesh/peers/peer.ts';
import { PeerSet } from '#mesh/peers/peer-set.ts';
import { type EncoderPeer, type ExpectedModel, encoderKind } from './encoder-peer.ts';
import { type EncodeProgress, gatherEmbedding } from './gather-embedding.ts';
import type { EncodableItem } from './media-item.ts';
import type { EncodeResult, MediaMetrics } from './media-metrics.ts';
import { byPreference } from './rendezvous.ts';

export interface EncoderClientOptions extends PeerOptions {
  readonly modality: MediaModality;
  readonly membership: Membership;
  readonly expected: ExpectedModel;
  /** Most Encode streams at once; further items wait. */
  readonly maxStreams: number;
  readonly metrics: MediaMetrics;
  readonly log: Log;
}

/**
 * Asks the encoders of one modality. The same content goes to the same ready encoder, whose cache
 * has it. An item whose rows did not all arrive goes to the next encoder, never twice to the same
 * one.
 */
export class EncoderClient {
  readonly #options: EncoderClientOptions;
  readonly #set: PeerSet<EncoderPeer>;
  readonly #streams: Semaphore;

  constructor(options: EncoderClientOptions) {
    const { modality, expected, membership, log, onChange = () => {} } = options;
    this.#options = options;
    this.#streams = new Semaphore(options.maxStreams);
    const kind = encoderKind(modality, expected);
    const open = (address: string) => new Peer(kind, address, options);
    this.#set = new PeerSet({ membership, open, log, onChange });
  }

  get peers(): readonly EncoderPeer[] {
    return this.#set.peers;
  }

  get numReady(): number {
    return this.#set.numReady;
  }

  /** Rows of an item; `onPlan` is called once for every encoder that is tried. */
  encode(item: EncodableItem, progress: EncodeProgress): Promise<Embedding> {
    return this.#streams.run(progress.signal, () => this.#encode(item, progress));
  }

  close(): Promise<void> {
    return this.#set.close();
  }

  async #encode(item: EncodableItem, progress: EncodeProgress): Promise<Embedding> {
    const { modality, metrics, expected } = this.#options;
    const { signal } = progress;
    const pick = (candidates: readonly EncoderPeer[]) => byPreference(candidates, item.key)[0];
    const attempts = new Attempts(this.#set, pick, { signal, who: 'it' });
    for (const attempt of attempts) {
      let result: EncodeResult = 'failed';
      try {
        const encoded = await gatherEmbedding(attempt.peer.calls, item, { ...progress, expected });
        result = encoded.cacheHit ? 'cache_hit' : 'encoded';
        metrics.rowsReceived(encoded.embedding.rows.byteLength);
        return encoded.embedding;
      } catch (error: unknown) {
        if (error instanceof MeshError) result = 'refused';
        if (signal.aborted) result = 'cancelled';
        attempt.fail(error);
        result = 'failed';
      } finally {
        metrics.encodeEnded(modality, result);
      }
    }
    throw this.#unavailable(attempts.failure);
  }

  /** Returns the error for an item when no encoder is left to ask. */
  #unavailable(failure: MeshError | undefined): MeshError {
    if (failure !== undefined && failure.reason !== 'NO_READY_ENDPOINT') return failure;
    const name = ENCODER_NAMES[this.#options.modality];
    const mismatches = this.peers.flatMap(({ mismatch }) => mismatch ?? []);
    const why =
      mismatches.length > 0
        ? `the ${name} is not of this model: ${mismatches[0]}`
        : failure === undefined
          ? `no ${name} is ready (${this.peers.length} configured); retry later`
          : `the ${name} was lost (${failure.message}) and no other is ready; retry later`;
    return new MeshError('NO_READY_ENDPOINT', why, {
      cause: failure,
    });
  }
}
