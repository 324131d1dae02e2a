import type { Channel, Client } from 'nice-grpc';
import { type Clock, systemClock } from '#mesh/async/clock.ts';
import { type ChannelUse, createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import type { Log } from '#mesh/log/log.ts';
import { InstanceServiceDefinition, type WatchResponse } from '#protos/autoglm/mesh/v1/instance.ts';
import { Heartbeat, SILENCE_LIMIT_MS } from './heartbeat.ts';
import { PeerLink } from './peer-link.ts';
import { type Occasion, PeerModel } from './peer-model.ts';

/** The parts in which the kinds of peers differ. */
export interface PeerKind<Calls, Model> {
  /** Name of the kind in log lines, such as "backbone". */
  readonly title: string;
  readonly channelUse: ChannelUse;
  /** Opens the clients of the kind's own service. */
  readonly open: (channel: Channel, address: string) => Calls;
  /**
   * Asks the peer for its model, when the peer comes and when its facts show that the model has
   * changed.
   */
  readonly describe: (calls: Calls, signal: AbortSignal) => Promise<Model>;
  /** Returns the model's name for log lines, if they need one. */
  readonly nameOf?: (model: Model) => string | undefined;
  /** Returns why a peer with this model must not be asked; undefined if it may be. */
  readonly mismatch?: (model: Model) => string | undefined;
}

export interface PeerOptions {
  readonly log: Log;
  readonly clock?: Clock;
  /** Called when the peer's readiness or its model has changed. */
  readonly onChange?: () => void;
}

type Standing = 'away' | 'ready' | 'mismatched';

/**
 * One address of a kind of process: its channel, its readiness and its description of itself.
 *
 * A peer is ready if it is SERVING, is heard (a message of Watch within the silence limit, or no
 * Watch at all), has described its model since its last outage, and the model is no mismatch.
 */
export class Peer<Calls, Model> {
  readonly address: string;
  readonly calls: Calls;
  readonly instance: Client<typeof InstanceServiceDefinition>;
  readonly #kind: PeerKind<Calls, Model>;
  readonly #options: PeerOptions;
  readonly #channel: Channel;
  readonly #link: PeerLink;
  readonly #heartbeat: Heartbeat;
  readonly #model: PeerModel<Model>;
  #isServing = false;
  #isHeard = false;
  #isClosing = false;
  #facts: WatchResponse | undefined;
  #occasion: Occasion = { numOutages: 0, facts: '' };
  #standing: Standing = 'away';
  #numOutstanding = 0;
  #onIdle = () => {};

  constructor(kind: PeerKind<Calls, Model>, address: string, options: PeerOptions) {
    this.address = address;
    this.#kind = kind;
    this.#options = options;
    this.#channel = openChannel(address, kind.channelUse);
    this.calls = kind.open(this.#channel, address);
    this.instance = createMeshClient(InstanceServiceDefinition, this.#channel);
    this.#model = new PeerModel({
      describe: (signal) => kind.describe(this.calls, signal),
      mismatch: kind.mismatch,
    });
    this.#heartbeat = new Heartbeat(options.clock ?? systemClock, () => this.#onSilence());
    this.#link = new PeerLink(this.#channel, {
      onHealth: (isServing) => this.#onHealth(isServing),
      onFacts: (facts) => this.#onFacts(facts),
      onBroken: (error) => this.#onBroken(error),
    });
  }

  get isReady(): boolean {
    return this.#standing === 'ready';
  }

  /**
   * The last model that the peer described; kept while the peer is away, so that its name stays
   * known.
   */
  get model(): Model | undefined {
    return this.#model.model;
  }

  /** Why the peer is not asked although it runs; undefined if it may be. */
  get mismatch(): string | undefined {
    return this.#standing === 'mismatched' ? this.#model.mismatch : undefined;
  }

  /** The last facts heard; undefined if none were heard or the peer does not serve Watch. */
  get facts(): WatchResponse | undefined {
    return this.#facts;
  }

  /** Number of calls sent to the peer that have not ended. */
  get numOutstanding(): number {
    return this.#numOutstanding;
  }

  /** Counts a call; returns a function that ends it. */
  begin(): () => void {
    this.#numOutstanding += 1;
    return () => {
      this.#numOutstanding -= 1;
      if (this.#numOutstanding === 0) this.#onIdle();
    };
  }

  /** Takes no new work; closes when the running calls have ended. */
  async leave(): Promise<void> {
    await this.#stopWatching();
    if (this.#numOutstanding > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    this.#channel.close();
  }

  async close(): Promise<void> {
    await this.#stopWatching();
    this.#onIdle();
    this.#channel.close();
  }

  async #stopWatching(): Promise<void> {
    this.#isClosing = true;
    this.#isServing = false;
    this.#enter();
    this.#heartbeat.stop();
    await this.#link.close();
  }

  #onHealth(isServing: boolean): void {
    if (this.#isServing && !isServing) this.#noteOutage();
    this.#isServing = isServing;
    this.#refresh();
  }

  #onFacts(facts: WatchResponse | undefined): void {
    this.#facts = facts;
    this.#isHeard = true;
    this.#occasion = { ...this.#occasion, facts: facts === undefined ? '' : servedText(facts) };
    if (facts !== undefined) this.#heartbeat.beat();
    this.#refresh();
  }

  #onSilence(): void {
    this.#isHeard = false;
    this.#enter();
  }

  #onBroken(err: unknown): void {
    const { address } = this;
    this.#options.log.debug({ err, address }, `${this.#kind.title} watch ended`);
    this.#heartbeat.stop();
    this.#isServing = false;
    this.#isHeard = false;
    this.#facts = undefined;
    this.#noteOutage();
    this.#enter();
  }

  #noteOutage(): void {
    this.#occasion = { ...this.#occasion, numOutages: this.#occasion.numOutages + 1 };
  }

  #refresh(): void {
    this.#enter();
    // If the streams have ended, there is an outage that is not noted yet.
    const isThere = this.#isServing && this.#isHeard && !this.#link.signal.aborted;
    if (isThere && !this.#model.isAsking && !this.#model.isOf(this.#occasion)) void this.#ask();
  }

  async #ask(): Promise<void> {
    const { signal } = this.#link;
    const wasReady = this.isReady;
    try {
      await this.#model.ask(this.#occasion, signal);
    } catch (error: unknown) {
      if (!signal.aborted) this.#link.restart(error);
    }
    if (this.#isClosing) return;
    this.#options.onChange?.();
    this.#refresh();
    if (wasReady && this.isReady) this.#log('info', `described its model anew${this.#named()}`);
  }

  #enter(): void {
    const previous = this.#standing;
    this.#standing = this.#judge();
    if (previous === this.#standing) return;
    this.#options.onChange?.();
    if (!this.#isClosing) this.#logStanding();
  }

  #judge(): Standing {
    if (!this.#isServing || !this.#isHeard || !this.#model.isSince(this.#occasion)) return 'away';
    return this.#model.mismatch === undefined ? 'ready' : 'mismatched';
  }

  #logStanding(): void {
    const silence = this.#isServing ? `: silent for ${SILENCE_LIMIT_MS} ms` : '';
    if (this.#standing === 'away') this.#log('warn', `is not ready${silence}`);
    else if (this.#standing === 'ready') this.#log('info', `is ready${this.#named()}`);
    else this.#log('error', `is refused: ${this.#model.mismatch}`);
  }

  #log(level: 'info' | 'warn' | 'error', what: string): void {
    this.#options.log[level](`${this.#kind.title} ${this.address} ${what}`);
  }

  /** Returns the model's name in brackets, if log lines need it. */
  #named(): string {
    const { model } = this.#model;
    const name = model && this.#kind.nameOf?.(model);
    return name === undefined ? '' : ` (${name})`;
  }
}

/**
 * Returns the facts that decide the process's model, as text; load, detail and the like are not
 * among them.
 */
function servedText(facts: WatchResponse): string {
  const { instanceName, modelId, servedNames, fingerprint, numerics } = facts;
  return JSON.stringify([instanceName, modelId, servedNames, fingerprint, numerics]);
}
