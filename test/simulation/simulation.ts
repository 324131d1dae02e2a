import assert from 'node:assert/strict';
import { LEASE_TTL_S, PING_INTERVAL_MS } from '#mesh/etcd/etcd-timing.ts';
import { HEARTBEAT_INTERVAL_MS } from '#mesh/peers/heartbeat.ts';
import { PROGRESS_TIMEOUT_S } from '#mesh/peers/peer-options.ts';
import { LOOK_INTERVAL_MS, ReportTurns, type Told } from '#mesh/process/report-turns.ts';
import { percentile } from '#test/chaos/report/pauses.ts';
import { seededRandom } from '#test/seeded-random.ts';
import { CAPACITY, SimulatedBackbone } from './backbone.ts';
import { SimulatedGateway } from './gateway.ts';
import type { Disturbance, Scenario } from './scenario.ts';
import { SimulatedClock } from './simulated-clock.ts';
import { Tally } from './tally.ts';

/** Tokens of an answer, and of a prompt on the average; prompts are distributed exponentially. */
const ANSWER_TOKENS = 128;
const MEAN_PROMPT_TOKENS = 384;

/** Hash of the prefix that requests without one of their own have. */
const SHARED_PREFIX = 1;

/** Windows in which balance is measured, and looks at the work inside, milliseconds. */
const WINDOW_MS = 5000;
const SAMPLE_MS = 100;

/** Most time until a gateway is told of a broken connection, milliseconds. */
const BREAK_MS = 50;

/** Most time until a registry's change is with a gateway, and until it has connected and asked. */
const REGISTRY_MS = 1000;
const INTRODUCTION_MS = 250;

/** Silence after which a gateway gives a backbone up, milliseconds. */
const SILENCE_MS = PROGRESS_TIMEOUT_S * HEARTBEAT_INTERVAL_MS;

export interface Outcome {
  readonly numRequests: number;
  /** Requests to backbones, over those of clients. */
  readonly attempts: number;
  readonly numFailed: number;
  /** Requests to another backbone before a token, and after one. */
  readonly numRetried: number;
  readonly numResumed: number;
  /** Largest share of requests, and of work inside, that one had in a window, over the mean. */
  readonly mostRequests: number;
  readonly mostWork: number;
  /** Time that 99 % of the requests waited at most until they ran, milliseconds. */
  readonly waitP99Ms: number;
  /**
   * Time from the disturbance until no gateway asks the dead, or until all that joined are asked,
   * milliseconds; undefined without one.
   */
  readonly convergedMs: number | undefined;
  /** Messages about loads, a second. */
  readonly messagesPerS: number;
  readonly messagesPerBackbonePerS: number;
}

/** A gateway that follows a backbone's load. */
interface Watcher {
  readonly gateway: SimulatedGateway;
  told: Told;
}

/** Runs a scenario; the outcome is a function of it and the seed. */
export function simulate(scenario: Scenario, seed: number): Outcome {
  return new Simulation(scenario, seed).run();
}

class Simulation {
  readonly #scenario: Scenario;
  readonly #random: () => number;
  readonly #clock = new SimulatedClock();
  readonly #backbones: SimulatedBackbone[] = [];
  readonly #gateways: readonly SimulatedGateway[];
  readonly #tally = new Tally();
  readonly #waitsMs: number[] = [];
  readonly #watchers = new Map<SimulatedBackbone, ReportTurns<Watcher>>();
  readonly #counts = { requests: 0, attempts: 0, retries: 0, resumes: 0, failures: 0, messages: 0 };
  /** Backbones that joined and have not been asked. */
  readonly #joined = new Set<SimulatedBackbone>();
  #disturbedMs: number | undefined;
  #convergedMs = 0;

  constructor(scenario: Scenario, seed: number) {
    this.#scenario = scenario;
    this.#random = seededRandom(seed);
    const observer = {
      asked: (backbone: SimulatedBackbone) => this.#onAsked(backbone),
      retried: (isResume: boolean) => {
        this.#counts[isResume ? 'resumes' : 'retries'] += 1;
      },
      failed: () => {
        this.#counts.failures += 1;
      },
    };
    const options = { clock: this.#clock, random: this.#random, observer };
    this.#gateways = Array.from(
      { length: scenario.numGateways },
      () => new SimulatedGateway(options),
    );
    for (let index = 0; index < scenario.numBackbones; index++) {
      const backbone = this.#start();
      for (const gateway of this.#gateways) gateway.join(backbone);
    }
  }

  run(): Outcome {
    const { seconds, disturbances } = this.#scenario;
    this.#arriveAfter(this.#meanPauseMs());
    this.#every(SAMPLE_MS, () => this.#tally.sample());
    this.#every(WINDOW_MS, () => this.#tally.nextWindow(this.#backbones));
    for (const one of disturbances) this.#clock.after(one.atMs, () => this.#disturb(one));
    this.#clock.runUntil(seconds * 1000);
    return this.#outcome();
  }

  #every(ms: number, action: () => void): void {
    this.#clock.after(ms, () => {
      action();
      this.#every(ms, action);
    });
  }

  /** Returns the mean time between two requests, milliseconds. */
  #meanPauseMs(): number {
    const { utilization } = this.#scenario;
    const weights = this.#backbones.reduce((sum, { weight }) => sum + weight, 0);
    const tokensPerMs = (utilization * weights * CAPACITY) / 1000;
    return (ANSWER_TOKENS + MEAN_PROMPT_TOKENS) / tokensPerMs;
  }

  #arriveAfter(meanMs: number): void {
    this.#clock.after(this.#exponential(meanMs), () => {
      const gateway = this.#oneOf(this.#gateways);
      const work = ANSWER_TOKENS + Math.ceil(this.#exponential(MEAN_PROMPT_TOKENS));
      const affinity = this.#drawPrefix();
      this.#counts.requests += 1;
      gateway.request({ work, affinity });
      this.#arriveAfter(meanMs);
    });
  }

  #drawPrefix(): number {
    const { ownPrefixShare, sharedFromMs } = this.#scenario;
    const isShared = this.#random() >= ownPrefixShare && this.#clock.now() >= sharedFromMs;
    return isShared ? SHARED_PREFIX : Math.floor(this.#random() * 2 ** 32);
  }

  #exponential(mean: number): number {
    return -Math.log(1 - this.#random()) * mean;
  }

  #oneOf<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.#random() * items.length)];
    assert(item !== undefined, 'there is none');
    return item;
  }

  #start(): SimulatedBackbone {
    const { weightOf, speedOf, isBroken } = this.#scenario;
    const index = this.#backbones.length;
    const backbone = new SimulatedBackbone({
      index,
      weight: weightOf(index),
      speed: speedOf(index),
      isBroken: isBroken(index),
      clock: this.#clock,
      onWaited: (ms) => this.#waitsMs.push(ms),
    });
    this.#backbones.push(backbone);
    this.#watch(backbone);
    return backbone;
  }

  /** Lets all gateways follow a backbone's load; they have come in another order to each. */
  #watch(backbone: SimulatedBackbone): void {
    const turns = new ReportTurns<Watcher>();
    this.#watchers.set(backbone, turns);
    const told = { atMs: this.#clock.now(), numLoads: 0, work: 0 };
    for (const gateway of this.#shuffledGateways()) turns.noteTold({ gateway, told });
    this.#clock.after(this.#random() * LOOK_INTERVAL_MS, () => this.#look(backbone, told));
  }

  #shuffledGateways(): readonly SimulatedGateway[] {
    const drawn = this.#gateways.map((gateway) => ({ gateway, place: this.#random() }));
    return drawn.sort((a, b) => a.place - b.place).map(({ gateway }) => gateway);
  }

  /** Tells those gateways of a backbone's load whose turn it is. */
  #look(backbone: SimulatedBackbone, before: Told): void {
    if (backbone.state !== 'running') return;
    const work = backbone.numOutstandingTokens;
    const numLoads = before.numLoads + (work === before.work ? 0 : 1);
    const told = { atMs: this.#clock.now(), numLoads, work };
    const turns = this.#watchers.get(backbone);
    const due = turns?.due(told) ?? [];
    for (const watcher of due) {
      watcher.told = told;
      turns?.noteTold(watcher);
    }
    this.#counts.messages += due.length;
    this.#clock.after(this.#scenario.reportDelayMs, () => {
      for (const { gateway } of due) gateway.report(backbone, work);
    });
    this.#clock.after(LOOK_INTERVAL_MS, () => this.#look(backbone, told));
  }

  #disturb({ kind, numBackbones }: Disturbance): void {
    this.#disturbedMs = this.#clock.now();
    for (let i = 0; i < numBackbones; i++) {
      if (kind === 'join') this.#join();
      else this.#end(this.#oneOf(this.#backbones.filter(isRunning)), kind);
    }
  }

  #join(): void {
    const backbone = this.#start();
    this.#joined.add(backbone);
    this.#eachWithin(REGISTRY_MS, (gateway) => {
      this.#clock.after(this.#random() * INTRODUCTION_MS, () => gateway.join(backbone));
    });
  }

  #end(backbone: SimulatedBackbone, kind: 'kill' | 'lose'): void {
    if (kind === 'kill') {
      backbone.die('ended');
      this.#eachWithin(BREAK_MS, (gateway) => gateway.lose(backbone));
      return;
    }
    backbone.die('silent');
    const nowMs = this.#clock.now();
    for (const { gateway, told } of this.#watchers.get(backbone)?.followers ?? []) {
      const heardMs = told.atMs + this.#scenario.reportDelayMs - nowMs;
      this.#clock.after(heardMs + HEARTBEAT_INTERVAL_MS, () => gateway.leave(backbone));
      this.#clock.after(heardMs + SILENCE_MS, () => gateway.lose(backbone));
    }
    const leaseMs = LEASE_TTL_S * 1000 - this.#random() * PING_INTERVAL_MS;
    this.#clock.after(leaseMs, () => {
      this.#eachWithin(REGISTRY_MS, (gateway) => gateway.leave(backbone));
    });
  }

  /** Does something with each gateway, at a random time up to a limit. */
  #eachWithin(limitMs: number, action: (gateway: SimulatedGateway) => void): void {
    for (const gateway of this.#gateways) {
      this.#clock.after(this.#random() * limitMs, () => action(gateway));
    }
  }

  #onAsked(backbone: SimulatedBackbone): void {
    this.#counts.attempts += 1;
    const isNews = this.#joined.delete(backbone) || backbone.state !== 'running';
    if (isNews) this.#convergedMs = this.#clock.now() - (this.#disturbedMs ?? 0);
  }

  #outcome(): Outcome {
    const { requests, attempts, retries, resumes, failures, messages } = this.#counts;
    const { seconds, numBackbones } = this.#scenario;
    const { windows } = this.#tally;
    const messagesPerS = messages / seconds;
    return {
      numRequests: requests,
      attempts: attempts / requests,
      numFailed: failures,
      numRetried: retries,
      numResumed: resumes,
      mostRequests: Math.max(...windows.map((one) => one.requests)),
      mostWork: Math.max(...windows.map((one) => one.work)),
      waitP99Ms: percentile(this.#waitsMs, 0.99),
      convergedMs: this.#disturbedMs === undefined ? undefined : this.#convergedMs,
      messagesPerS,
      messagesPerBackbonePerS: messagesPerS / numBackbones,
    };
  }
}

const isRunning = ({ state }: SimulatedBackbone): boolean => state === 'running';
