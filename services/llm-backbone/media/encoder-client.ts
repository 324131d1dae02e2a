import { type Embedding, numBytesOf } from '#backbone/engine/row-source.ts';
import { systemClock } from '#mesh/async/clock.ts';
import { Ejection } from '#mesh/balance/ejection.ts';
import { byPreference } from '#mesh/balance/rendezvous.ts';
import { MeshError, reasonOf } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { ENCODER_NAMES, ENCODER_ROLES, type MediaModality } from '#mesh/modality.ts';
import { type Attempt, Attempts, mayRetryElsewhere } from '#mesh/peers/attempts.ts';
import type { Member, Membership } from '#mesh/peers/membership.ts';
import { Patience } from '#mesh/peers/patience.ts';
import { Peer, type PeerOptions } from '#mesh/peers/peer.ts';
import { PeerFaults } from '#mesh/peers/peer-faults.ts';
import { PeerSet } from '#mesh/peers/peer-set.ts';
import { soonest } from '#mesh/peers/recovery.ts';
import type { AttemptEnd, Turn } from '#mesh/peers/turn.ts';
import { AskedEncoders } from './asked-encoders.ts';
import type { DeviceRows, EncoderRowsReader } from './device-rows.ts';
import { EncodeSlots } from './encode-slots.ts';
import { type EncoderPeer, type ExpectedModel, encoderKind } from './encoder-peer.ts';
import {
  type EncodeProgress,
  type GatheredEmbedding,
  gatherEmbedding,
} from './gather-embedding.ts';
import { type EncodeCall, Hedging } from './hedging.ts';
import type { EncodableItem } from './media-item.ts';
import type { EncodeResult, MediaMetrics } from './media-metrics.ts';

export interface EncoderClientOptions extends PeerOptions {
  readonly modality: MediaModality;
  readonly membership: Membership;
  /** See `PeerSetOptions`. */
  readonly keepsReady?: boolean;
  readonly expected: ExpectedModel;
  /** Most Encode streams to one encoder at once; further items wait. */
  readonly maxStreams: number;
  /** Longest that an item waits for an encoder that is being started again, in seconds. */
  readonly recoveryWaitS: number;
  /** Most items that wait so at once. */
  readonly maxWaiting: number;
  /** Failures within the timeout after which an encoder is left out; 0: never. */
  readonly maxFails: number;
  readonly failTimeoutS: number;
  /** Whether a second encoder is asked for an item that takes unusually long. */
  readonly isHedging: boolean;
  /** Whether rows may come through shared memory. */
  readonly isSharing: boolean;
  /** Where rows of an encoder's GPU go; undefined: nowhere. */
  readonly deviceRows: DeviceRows | undefined;
  readonly metrics: MediaMetrics;
  readonly log: Log;
}

/** One item's progress, with the encoders that were asked for it. */
interface AskProgress extends EncodeProgress {
  readonly asked: AskedEncoders;
  /** Whether the encoder is asked beside another one. */
  readonly isHedge?: boolean;
}

/**
 * Asks the encoders of one modality. The same content goes to the same ready encoder, whose cache
 * has it, unless that one has no free slot or fails repeatedly. An item whose rows did not all arrive
 * goes to the next encoder, never twice to the same run of one.
 */
export class EncoderClient {
  readonly #options: EncoderClientOptions;
  readonly #set: PeerSet<EncoderPeer>;
  readonly #slots: EncodeSlots<EncoderPeer>;
  readonly #patience: Patience;
  readonly #ejection: Ejection;
  readonly #faults: PeerFaults;
  readonly #hedging: Hedging | undefined;

  readonly #observer = {
    progressed: () => {},
    ended: (peer: EncoderPeer, end: AttemptEnd) => this.#faults.ended(peer, end),
  };

  constructor(options: EncoderClientOptions) {
    const { modality, membership, keepsReady = false, log, metrics } = options;
    const { maxFails, failTimeoutS, clock = systemClock } = options;
    this.#options = options;
    this.#ejection = new Ejection({ maxFails, failTimeoutMs: failTimeoutS * 1000, clock });
    const title = ENCODER_NAMES[modality];
    this.#faults = new PeerFaults({ ejection: this.#ejection, title, log });
    if (options.isHedging) {
      this.#hedging = new Hedging({ clock, onEnd: (how) => metrics.hedgeEnded(modality, how) });
    }
    this.#slots = new EncodeSlots(options);
    const onChange = () => {
      this.#ejection.keep(new Set(this.peers.map(({ address }) => address)));
      this.#slots.refresh();
      options.onChange?.();
    };
    const kind = encoderKind(options);
    const open = (member: Member, changed: () => void) =>
      new Peer(kind, member, { ...options, onChange: changed });
    this.#set = new PeerSet({ membership, keepsReady, open, log, onChange });
    const { recoveryWaitS, maxWaiting } = options;
    this.#patience = new Patience({ limitMs: recoveryWaitS * 1000, maxWaiting });
  }

  get peers(): readonly EncoderPeer[] {
    return this.#set.peers;
  }

  /** What reads rows in memory of the GPUs of the encoders that can be asked. */
  get deviceReaders(): readonly EncoderRowsReader[] {
    return this.#ready.flatMap(({ model }) => model?.reader?.device ?? []);
  }

  get numReady(): number {
    return this.#set.numReady;
  }

  /** Tells whether an encoder is left out because it fails repeatedly. */
  isOut(address: string): boolean {
    return this.#ejection.isOut(address);
  }

  close(): Promise<void> {
    return this.#set.close();
  }

  /** Rows of an item; `onPlan` is called once for every encoder that is tried. */
  async encode(item: EncodableItem, progress: EncodeProgress): Promise<Embedding> {
    const { signal } = progress;
    const { client, modality } = item;
    this.#hedging?.itemCame();
    const asked = new AskedEncoders(item.call, ENCODER_ROLES[modality]);
    const inOrder = (candidates: readonly EncoderPeer[]) =>
      byPreference(this.#ejection.firstChoice(candidates, this.#ready), item.key);
    const attempts = new Attempts(this.#set, (candidates) => inOrder(candidates)[0], {
      signal,
      who: 'it',
      patience: this.#patience,
      expectedMs: () => soonest(this.peers),
      observer: this.#observer,
      enter: (candidates) =>
        this.#slots.enter({ client, candidates: () => inOrder(candidates()), signal }),
    });
    for await (const attempt of attempts) {
      try {
        return (await this.#askFor(item, attempt, { ...progress, asked })).embedding;
      } catch (error: unknown) {
        attempt.fail(error);
      } finally {
        this.#slots.leave(attempt.peer, client);
      }
    }
    throw this.#unavailable(attempts.failure);
  }

  /** Asks the peer of an attempt, and perhaps another one beside it. */
  #askFor(
    item: EncodableItem,
    attempt: Attempt<EncoderPeer>,
    progress: AskProgress,
  ): Promise<GatheredEmbedding> {
    const rows = this.#ask(attempt.turn, item, progress);
    if (this.#hedging === undefined) return rows;
    const second = () => this.#askBeside(attempt, item, progress);
    return this.#hedging.rowsOf({ first: { turn: attempt.turn, rows }, second });
  }

  /** Asks a second encoder that has a free slot. */
  #askBeside(
    attempt: Attempt<EncoderPeer>,
    item: EncodableItem,
    progress: AskProgress,
  ): EncodeCall | undefined {
    const { client, key } = item;
    const turn = attempt.beside((others) => {
      const candidates = () => byPreference(this.#ejection.inServiceOf(others, this.#ready), key);
      return this.#slots.enterSpare({ client, candidates }, { numEncoders: this.numReady });
    });
    if (turn === undefined) return undefined;
    const ask = async () => {
      try {
        return await this.#ask(turn, item, { ...progress, isHedge: true });
      } catch (error: unknown) {
        throw turn.failed(error);
      } finally {
        turn.end();
        this.#slots.leave(turn.peer, client);
      }
    };
    return { turn, rows: ask() };
  }

  get #ready(): readonly EncoderPeer[] {
    return this.peers.filter(({ isReady }) => isReady);
  }

  /** Asks one encoder for the rows of an item. */
  async #ask(
    turn: Turn<EncoderPeer>,
    item: EncodableItem,
    progress: AskProgress,
  ): Promise<GatheredEmbedding> {
    const { modality, metrics, expected, log } = this.#options;
    const { peer, signal } = turn;
    const stage = progress.asked.begin(peer.address, progress);
    this.#ejection.begun(peer.address);
    let result: EncodeResult = 'failed';
    try {
      const encoded = await gatherEmbedding(peer.calls, item, {
        onPlan: progress.onPlan,
        signal,
        headers: stage.headers,
        expected,
        reader: peer.model?.reader,
        log,
      });
      result = encoded.cacheHit ? 'cache_hit' : 'encoded';
      metrics.rowsReceived(numBytesOf(encoded.embedding), encoded.transport);
      this.#ejection.succeeded(peer.address);
      stage.answered(encoded);
      return encoded;
    } catch (error: unknown) {
      const why = turn.whyFailed(error);
      if (why instanceof MeshError && !mayRetryElsewhere(why)) result = 'refused';
      if (progress.signal.aborted || turn.isCancelled) result = 'cancelled';
      stage.failed(result === 'cancelled' ? 'CANCELLED' : reasonOf(why));
      throw error;
    } finally {
      metrics.encodeEnded(modality, result);
    }
  }

  /** Returns the error for an item when no encoder is left to ask. */
  #unavailable(failure: MeshError | undefined): MeshError {
    const isAway =
      failure === undefined || ['NO_READY_ENDPOINT', 'DRAINING'].includes(failure.reason);
    if (!isAway) return failure;
    const name = ENCODER_NAMES[this.#options.modality];
    const mismatches = this.peers.flatMap(({ mismatch }) => mismatch ?? []);
    const why =
      mismatches.length > 0
        ? `the ${name} is not of this model: ${mismatches[0]}`
        : failure === undefined
          ? `no ${name} is ready (${this.peers.length} configured); retry later`
          : `the ${name} was lost (${failure.message}) and no other is ready; retry later`;
    const expectedMs = soonest(this.peers);
    return new MeshError('NO_READY_ENDPOINT', why, {
      cause: failure,
      ...(expectedMs !== undefined && { retryAfterMs: expectedMs }),
    });
  }
}
