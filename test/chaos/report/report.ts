import type { FaultRecord } from '#test/chaos/faults/fault-record.ts';
import type { Counts } from '#test/chaos/mesh/gateway-counters.ts';
import type { Sighting } from '#test/chaos/mesh/sightings.ts';
import { causeOf, effectOf, type Failover, type FaultEffect, type Story } from './effects.ts';
import { longest, pausesOf } from './pauses.ts';

/** Name of the row of requests that failed before the first fault. */
const NO_FAULT = 'none';

/** What a run left behind. */
export interface RunRecord {
  readonly seed: number;
  readonly stories: readonly Story[];
  readonly faults: readonly FaultRecord[];
  /** Times that a fault was due and nobody could be spared. */
  readonly numSkipped: number;
  /** Counted by the gateways themselves. */
  readonly counts: Counts;
}

/** All faults of one kind. */
export interface KindRow {
  readonly kind: string;
  readonly numTimes: number;
  readonly numTouched: number;
  readonly numResumed: number;
  readonly numRetried: number;
  readonly numCut: number;
  readonly numFailed: number;
  readonly worstGapMs: number;
}

/** A request that failed or was answered wrongly. */
export interface Spoilt {
  readonly kind: string;
  readonly target: string;
  readonly requestId: string;
  readonly caseName: string;
  readonly why: string;
}

/** The longest time between two tokens of a stream that a fault touched. */
export interface WorstGap {
  readonly kind: string;
  readonly target: string;
  readonly requestId: string;
  readonly caseName: string;
  readonly gapMs: number;
  /** Places that the request was sent to; times count from the beginning of the fault. */
  readonly path: readonly Sighting[];
}

export interface Report {
  readonly seed: number;
  readonly rows: readonly KindRow[];
  readonly numSent: number;
  readonly numAnswered: number;
  /** Streams that were cut by the kill of their gateway. */
  readonly numCut: number;
  readonly spoilt: readonly Spoilt[];
  readonly numSkipped: number;
  readonly counts: Counts;
  /** The worst gap of a fault; undefined if no touched stream had two tokens. */
  readonly worstGap: WorstGap | undefined;
  /** The longest pause of each stream that no fault touched: what the load alone does, ms. */
  readonly untouchedGapsMs: readonly number[];
  /** Streams that went on elsewhere when their backbone was killed or stopped, by the kind. */
  readonly failovers: ReadonlyMap<string, readonly Failover[]>;
}

/** Tells whether a run has shown what it is for: faults were done, and every answer was right. */
export function hasPassed({ rows, numAnswered, spoilt }: Report): boolean {
  return rows.length > 0 && numAnswered > 0 && spoilt.length === 0;
}

/** Kinds whose failovers are reported. */
const FAILOVER_KINDS = ['backbone-kill', 'backbone-stop'];

export function reportOn({ seed, stories, faults, numSkipped, counts }: RunRecord): Report {
  const effects = faults.map((fault) => effectOf(fault, stories));
  const cuts = stories.filter(({ exchange }) => exchange.verdict.kind === 'cut');
  const spoilt = stories.flatMap((story) => spoiltBy(story, faults) ?? []);
  const cutKinds = cuts.map((story) => causeOf(story, faults)?.kind ?? NO_FAULT);
  const kinds = new Set([...faults, ...spoilt].map(({ kind }) => kind));
  return {
    seed,
    rows: [...kinds].sort().map((kind) => {
      const own = effects.filter(({ fault }) => fault.kind === kind);
      const numCut = cutKinds.filter((one) => one === kind).length;
      const numFailed = spoilt.filter((one) => one.kind === kind).length;
      return { kind, ...totals(own), numCut, numFailed };
    }),
    numSent: stories.length,
    numAnswered: stories.filter(({ exchange }) => exchange.verdict.kind === 'answered').length,
    numCut: cuts.length,
    spoilt,
    numSkipped,
    counts,
    worstGap: worstOf(effects),
    untouchedGapsMs: untouchedBy(effects, stories)
      .map(({ exchange }) => longest(pausesOf(exchange.tokenTimesMs)))
      .filter((gapMs) => gapMs > 0),
    failovers: new Map(FAILOVER_KINDS.map((kind) => [kind, failoversOf(kind, effects)])),
  };
}

function totals(effects: readonly FaultEffect[]) {
  const sum = (count: (effect: FaultEffect) => number) =>
    effects.reduce((total, effect) => total + count(effect), 0);
  return {
    numTimes: effects.length,
    numTouched: sum(({ touched }) => touched.length),
    numResumed: sum(({ numResumed }) => numResumed),
    numRetried: sum(({ numRetried }) => numRetried),
    worstGapMs: Math.max(0, ...effects.map(({ worstGapMs }) => worstGapMs)),
  };
}

function worstOf(effects: readonly FaultEffect[]): WorstGap | undefined {
  const [worst] = [...effects].sort((a, b) => b.worstGapMs - a.worstGapMs);
  if (worst?.worst === undefined) return undefined;
  const { kind, target, beganMs } = worst.fault;
  const { exchange, sightings } = worst.worst;
  const { requestId, caseName } = exchange;
  const path = sightings.map(({ instance, atMs }) => ({ instance, atMs: atMs - beganMs }));
  return { kind, target, requestId, caseName, gapMs: worst.worstGapMs, path };
}

function untouchedBy(effects: readonly FaultEffect[], stories: readonly Story[]): readonly Story[] {
  const touched = new Set(effects.flatMap((effect) => effect.touched));
  return stories.filter((story) => !touched.has(story));
}

function failoversOf(kind: string, effects: readonly FaultEffect[]): readonly Failover[] {
  const own = effects.filter(({ fault }) => fault.kind === kind);
  return own.flatMap(({ failovers }) => failovers);
}

function spoiltBy(story: Story, faults: readonly FaultRecord[]): Spoilt | undefined {
  const { verdict, requestId, caseName } = story.exchange;
  if (verdict.kind === 'answered' || verdict.kind === 'cut') return undefined;
  const { kind = NO_FAULT, target = '' } = causeOf(story, faults) ?? {};
  return { kind, target, requestId, caseName, why: `${verdict.kind}: ${verdict.why}` };
}
