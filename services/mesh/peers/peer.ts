import type { Channel, Client } from 'nice-grpc';
import { type Clock, systemClock } from '#mesh/async/clock.ts';
import { hash32 } from '#mesh/balance/hash.ts';
import { MeshError } from '#mesh/errors.ts';
import { type ChannelUse, createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import type { Log } from '#mesh/log/log.ts';
import { Roster } from '#mesh/roster.ts';
import { InstanceServiceDefinition, type WatchResponse } from '#protos/autoglm/mesh/v1/instance.ts';
import { HEARTBEAT_INTERVAL_MS, Heartbeat } from './heartbeat.ts';
import type { Member } from './membership.ts';
import { PeerLink } from './peer-link.ts';
import { type Occasion, PeerModel } from './peer-model.ts';
import { PeerWork } from './peer-work.ts';
import { Recovery } from './recovery.ts';

/** The parts in which the kinds of peers differ. */
export interface PeerKind<Calls, Model> {
  /** Name of the kind in log lines, such as "backbone". */
  readonly title: string;
  readonly channelUse: ChannelUse;
  /** Opens the clients of the kind's own service. */
  readonly open: (channel: Channel, address: string) => Calls;
  /** Closes what the clients have besides the channel; unset: nothing. */
  readonly close?: (calls: Calls) => void;
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
  /** Seconds without a message after which a peer is not asked and its calls are given up. */
  readonly progressTimeoutS: number;
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
  /** `hash32` of the address. */
  readonly hash: number;
  /** What the registry says of it. */
  member: Member;
  readonly calls: Calls;
  readonly instance: Client<typeof InstanceServiceDefinition>;
  readonly #kind: PeerKind<Calls, Model>;
  readonly #options: PeerOptions;
  readonly #channel: Channel;
  readonly #link: PeerLink;
  readonly #clock: Clock;
  readonly #heartbeat: Heartbeat;
  readonly #recovery: Recovery;
  /** Called, for each running call, if the peer falls silent. */
  readonly #onLost = new Roster<(why: MeshError) => void>();
  readonly #model: PeerModel<Model>;
  #isServing = false;
  #isHeard = false;
  #isClosing = false;
  #facts: WatchResponse | undefined;
  #occasion: Occasion = { numOutages: 0, facts: '' };
  #standing: Standing = 'away';
  #numOutstanding = 0;
  readonly #work = new PeerWork();
  #onIdle = () => {};

  constructor(kind: PeerKind<Calls, Model>, member: Member, options: PeerOptions) {
    const { address } = member;
    this.address = address;
    this.hash = hash32(address);
    this.member = member;
    this.#kind = kind;
    this.#options = options;
    this.#channel = openChannel(address, kind.channelUse);
    this.calls = kind.open(this.#channel, address);
    this.instance = createMeshClient(InstanceServiceDefinition, this.#channel);
    this.#model = new PeerModel({
      describe: (signal) => kind.describe(this.calls, signal),
      mismatch: kind.mismatch,
    });
    const { clock = systemClock, progressTimeoutS } = options;
    this.#clock = clock;
    this.#recovery = new Recovery(() => clock.now());
    this.#heartbeat = new Heartbeat({
      clock,
      maxMissed: Math.ceil((progressTimeoutS * 1000) / HEARTBEAT_INTERVAL_MS),
      onSilence: () => this.#onSilence(),
    });
    this.#link = new PeerLink(this.#channel, {
      onHealth: (isServing) => this.#onHealth(isServing),
      onFacts: (facts) => this.#onFacts(facts),
      onBroken: (error) => this.#onBroken(error),
    });
  }

  /** Whether it may be asked. */
  get isReady(): boolean {
    return this.#standing === 'ready' && !this.member.isLeaving;
  }

  /** Whether a message of the peer is late, so that others are asked first. */
  get isOverdue(): boolean {
    return this.#heartbeat.isOverdue;
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

  /** Work inside the peer as far as it is known. */
  get work(): Pick<PeerWork, 'total' | 'own' | 'surge'> {
    return this.#work;
  }

  /** Number of this run of the process; another one after each outage. */
  get life(): number {
    return this.#occasion.numOutages;
  }

  /**
   * Milliseconds until the peer can probably be asked; if it is ready, after a loss that is not
   * noticed yet. Undefined if it never was ready, or runs and is refused.
   */
  get recoveryMs(): number | undefined {
    return this.#standing === 'mismatched' ? undefined : this.#recovery.expectedMs;
  }

  /**
   * Counts a call and its work; returns a function that ends it. `onLost` is called if the peer
   * falls silent meanwhile; the call is to be given up then.
   */
  begin(onLost: (why: MeshError) => void, work = 0): () => void {
    this.#numOutstanding += 1;
    this.#work.begin(work);
    const leave = this.#onLost.add(onLost);
    return () => {
      leave();
      this.#numOutstanding -= 1;
      this.#work.end(work);
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
    this.#closeClients();
  }

  async close(): Promise<void> {
    await this.#stopWatching();
    this.#onIdle();
    this.#closeClients();
  }

  #closeClients(): void {
    this.#kind.close?.(this.calls);
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
    if (facts?.load !== undefined) {
      this.#work.report(facts.load.numOutstandingTokens, this.#clock.now());
    }
    if (facts?.loadOnly === true) this.#onLoad(facts);
    else this.#onAllFacts(facts);
  }

  #onLoad({ load }: WatchResponse): void {
    if (this.#facts === undefined) return;
    this.#facts = { ...this.#facts, load };
    this.#heartbeat.beat();
    // It is heard again after a silence.
    if (!this.#isHeard) {
      this.#isHeard = true;
      this.#refresh();
    }
  }

  #onAllFacts(facts: WatchResponse | undefined): void {
    this.#facts = facts;
    this.#isHeard = true;
    this.#occasion = { ...this.#occasion, facts: facts === undefined ? '' : servedText(facts) };
    if (facts !== undefined) {
      this.#heartbeat.beat();
      if (facts.startMs > 0) this.#recovery.tookToStart(facts.startMs);
    }
    this.#refresh();
  }

  #onSilence(): void {
    this.#isHeard = false;
    this.#enter();
    const message = `a process has been silent for ${this.#options.progressTimeoutS} s`;
    const why = new MeshError('NO_READY_ENDPOINT', message, { isPeerLost: true });
    for (const giveUp of this.#onLost.members()) giveUp(why);
  }

  #onBroken(err: unknown): void {
    const { address } = this;
    // A silent process has been ended, so its next start is under way.
    if (this.#isSilent) this.#recovery.went({ isSilent: false });
    this.#options.log.debug({ err, address }, `${this.#kind.title} watch ended`);
    this.#heartbeat.stop();
    this.#isServing = false;
    this.#isHeard = false;
    this.#facts = undefined;
    this.#work.forget();
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
    if (this.#standing === 'ready') this.#recovery.came();
    else if (previous === 'ready') this.#recovery.went({ isSilent: this.#isSilent });
    this.#options.onChange?.();
    if (!this.#isClosing) this.#logStanding();
  }

  /** Tells whether the peer serves, by its last word, and says nothing. */
  get #isSilent(): boolean {
    return this.#isServing && !this.#isHeard;
  }

  #judge(): Standing {
    if (!this.#isServing || !this.#isHeard || !this.#model.isSince(this.#occasion)) return 'away';
    return this.#model.mismatch === undefined ? 'ready' : 'mismatched';
  }

  #logStanding(): void {
    const silence = this.#isSilent ? `: silent for ${this.#options.progressTimeoutS} s` : '';
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
